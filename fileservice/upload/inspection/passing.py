"""Checks of files while their bytes pass, since large ones are not read again."""

from collections.abc import Callable, Mapping
from typing import Protocol

from fileservice.content_risks import ContentRisk
from fileservice.filetypes import Family, FileType
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.gif import GifEnd
from fileservice.upload.inspection.jpeg import JpegScan
from fileservice.upload.inspection.json_nesting import JsonNesting
from fileservice.upload.inspection.pdf import RISKS, PdfScan
from fileservice.upload.inspection.png import PngEnd

_PIECE = 1 << 16
"""How many bytes are looked at, and copied, at a time."""


class PassingCheck(Protocol):
    """Looks at the blocks of one file in their order."""

    def feed(self, block: bytes | memoryview) -> None:
        """Look at the next block. Raise TooComplex or ContentRefused."""

    def conclude(self) -> None:
        """Raise ContentRefused if the file, all of which was fed, should not end here."""


_ENDS: Mapping[str, Callable[[], PassingCheck]] = {"image/png": PngEnd, "image/gif": GifEnd}


def feed_in_pieces(check: PassingCheck, block: bytes | memoryview) -> None:
    """Feed a block of any size. Raises what the check does."""
    view = memoryview(block)
    for start in range(0, len(view), _PIECE):
        check.feed(view[start : start + _PIECE])


def passing_check(file_type: FileType, policy: ContentPolicy) -> PassingCheck | None:
    """Return what looks at all bytes of a file of this type; None if nothing has to."""
    refuses_trailing = ContentRisk.TRAILING_BYTES in policy.refused
    if file_type.family is Family.JSON:
        return JsonNesting()
    if file_type.media_type == "image/jpeg":
        return JpegScan(policy.max_pixels, to_end=refuses_trailing)
    if file_type.media_type == "application/pdf" and policy.refuses(*RISKS):
        return PdfScan(policy)
    end = _ENDS.get(file_type.media_type)
    return end() if end and refuses_trailing else None
