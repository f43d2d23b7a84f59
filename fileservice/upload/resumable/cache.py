"""ScanCache: the content scans of the resumable uploads that this process received last.

The cache only saves time: a process that does not have the scan of an upload reads its bytes once.
"""

from collections import OrderedDict

from fileservice.upload.inspection.scan import ContentScan, begin_scan
from fileservice.upload.policy import UploadPolicy
from fileservice.upload.resumable.record import UploadRecord

_MAX_SCANS = 256
"""How many scans are kept; each takes a few KiB."""


class ScanCache:
    """Lends each scan to one request at a time, so it is no cache that `functools` could keep."""

    def __init__(self, policy: UploadPolicy) -> None:
        self._policy = policy
        self._scans: OrderedDict[str, ContentScan] = OrderedDict()

    def take(self, upload: str, record: UploadRecord, size: int) -> ContentScan:
        """Remove and return the scan of an upload with `size` bytes; a new one if there is none.

        Only the request that has the lock of the upload may call this, as it changes the scan.
        """
        scan = self._scans.pop(upload, None)
        if scan and scan.size <= size:  # else bytes that it has seen were dropped
            return scan
        return begin_scan(record.request(), self._policy)

    def put(self, upload: str, scan: ContentScan) -> None:
        """Keep a scan for the next request."""
        self._scans[upload] = scan
        while len(self._scans) > _MAX_SCANS:
            self._scans.popitem(last=False)

    def drop(self, upload: str) -> None:
        """Remove the scan of an upload that has ended."""
        self._scans.pop(upload, None)
