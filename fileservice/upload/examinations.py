"""Examinations: how far this process has looked at the uploads that can be resumed.

It only saves reading bytes again: another process has to, once.
"""

from collections import OrderedDict

from fileservice.upload.admission import Rules, type_of
from fileservice.upload.examination import Examination, examine
from fileservice.upload.records import Record

_REMEMBERED = 256
"""Examinations that a process keeps in mind; each has a few KiB."""


class Examinations:
    """The examinations of the uploads that this process dealt with last."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._remembered: OrderedDict[str, Examination] = OrderedDict()

    def recall(self, upload: str, record: Record, size: int) -> Examination:
        """Take out what is known of an upload that has `size` bytes; else one that saw nothing.

        Only the writer of the upload may: whoever has it changes it.
        """
        remembered = self._remembered.pop(upload, None)
        if remembered and remembered.size <= size:  # not what is no more
            return remembered
        offer = record.offer()
        return examine(offer, self._rules, type_of(offer.name, self._rules))

    def remember(self, upload: str, examination: Examination) -> None:
        """Keep it for the next request."""
        self._remembered[upload] = examination
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def forget(self, upload: str) -> None:
        """Drop what is known of an upload that has ended."""
        self._remembered.pop(upload, None)
