"""PdfScan: names in a PDF that make a reader run, start or unpack something.

This is a search for names that stand in the file in clear, and no more. Names in compressed object
streams and in encrypted files are not seen (ISO 32000-2, sections 7.5.7 and 7.6).
"""

import re

from fileservice.content_risks import ContentRisk
from fileservice.upload.errors import ContentRefused, TooComplex
from fileservice.upload.inspection.content_policy import ContentPolicy

RISKS = (ContentRisk.PDF_SCRIPTS, ContentRisk.PDF_LAUNCH, ContentRisk.PDF_FILES)
_NAMES = {
    b"JavaScript": ContentRisk.PDF_SCRIPTS,
    b"JS": ContentRisk.PDF_SCRIPTS,
    b"XFA": ContentRisk.PDF_SCRIPTS,
    b"RichMedia": ContentRisk.PDF_SCRIPTS,
    b"Launch": ContentRisk.PDF_LAUNCH,
    b"EmbeddedFile": ContentRisk.PDF_FILES,
    b"EmbeddedFiles": ContentRisk.PDF_FILES,
}
_END_OF_NAME = rb"(?=[\0\t\n\f\r ()<>\[\]{}/%])"
_LONGEST = 64
"""No name here is longer with all of its characters escaped and what must follow it, in bytes."""
_MAX_NAMES = 500_000
"""How many names that begin like one of these a file may have."""
_MAX_SLASHES, _BYTES_OF_SLASH = 4_000_000, 64
"""How many slashes it may have, and one more for so many bytes: pictures have one in 256."""


def _pattern(name: bytes) -> bytes:
    """Return the pattern of a name, any character of which may be escaped (section 7.3.5).

    Short names occur by chance in pictures, so what must follow them is a part of the pattern.
    """
    characters = b"".join(
        b"(?:%c|#%x[%x%s])"
        % (character, character >> 4, character & 15, (b"%X" % (character & 15)))
        for character in name
    )
    if len(name) > 3:
        return characters + _END_OF_NAME
    return characters + rb"[\0\t\n\f\r ]{0,8}+(?:[(<\[]|(?<![A-Z])[0-9]{1,10} )"


class PdfScan:
    """Searches the names of the risks that a policy refuses."""

    def __init__(self, policy: ContentPolicy) -> None:
        patterns = [
            b"(?P<%s>%s)" % (name, _pattern(name))
            for name, risk in _NAMES.items()
            if risk in policy.refused
        ]
        beginnings = b"|".join({b"%c[#%c]" % (name[0], name[1]) for name in _NAMES})
        beginnings += b"|#[45]"  # with which all of their initials are escaped
        self._beginning = re.compile(b"/(?:%s)" % beginnings)
        self._names = re.compile(b"/(?=%s)(?:%s)" % (beginnings, b"|".join(patterns)))
        self._rest = b""
        self._size = self._slashes = self._beginnings = 0

    def feed(self, block: bytes | memoryview) -> None:
        """Search the next block. Raise ContentRefused or TooComplex."""
        content = bytes(block)
        self._size += len(content)
        self._slashes += content.count(b"/")
        limit = _MAX_SLASHES + self._size // _BYTES_OF_SLASH
        if self._slashes > limit:
            raise TooComplex("structure", limit, "names")
        data = self._rest + content
        beginnings = self._beginning.findall(data)
        if beginnings:
            self._beginnings += len(beginnings)
            if self._beginnings > _MAX_NAMES:
                raise TooComplex("structure", _MAX_NAMES, "names like those of actions")
            self._search(data)
        self._rest = data[-_LONGEST:]

    def conclude(self) -> None:
        """Search the end. Raise ContentRefused."""
        self._search(self._rest + b"\n")

    def _search(self, data: bytes) -> None:
        found = self._names.search(data)
        if found and found.lastgroup:
            risk = _NAMES[found.lastgroup.encode()]
            raise ContentRefused(risk.value, f"the name /{found.lastgroup}")
