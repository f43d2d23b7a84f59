"""Examinations: how far this process has looked at the uploads that can be resumed.

It only saves reading bytes again: another process has to, once.
"""

from collections import OrderedDict

from fileservice.upload.inspection.scan import ContentScan, begin_scan
from fileservice.upload.policy import UploadPolicy, type_of
from fileservice.upload.resumable.record import Record

_REMEMBERED = 256
"""Examinations that a process keeps in mind; each has a few KiB."""


class ScanCache:
    """The examinations of the uploads that this process dealt with last."""

    def __init__(self, policy: UploadPolicy) -> None:
        self._policy = policy
        self._remembered: OrderedDict[str, ContentScan] = OrderedDict()

    def recall(self, upload: str, record: Record, size: int) -> ContentScan:
        """Take out what is known of an upload that has `size` bytes; else one that saw nothing.

        Only the writer of the upload may: whoever has it changes it.
        """
        remembered = self._remembered.pop(upload, None)
        if remembered and remembered.size <= size:  # not what is no more
            return remembered
        request = record.request()
        return begin_scan(request, self._policy, type_of(request.name, self._policy))

    def remember(self, upload: str, scan: ContentScan) -> None:
        """Keep it for the next request."""
        self._remembered[upload] = scan
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def forget(self, upload: str) -> None:
        """Drop what is known of an upload that has ended."""
        self._remembered.pop(upload, None)
