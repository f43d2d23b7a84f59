"""TextScan: whether a stream of blocks is text to its end, and in which encoding."""

import codecs
import re

_CONTROL = frozenset((*range(0x07), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
"""What text does not use of the control characters: libmagic draws the line at the same place."""
_TEXT_BYTES = bytes(byte for byte in range(256) if byte not in _CONTROL)
_CONTROL_CHARACTER = re.compile(f"[{re.escape(''.join(map(chr, sorted(_CONTROL))))}\ufffe]")


class NotText(Exception):
    """The bytes are not text; ``str(error)`` says what they are instead."""


class TextScan:
    """Scans text in UTF-8, in UTF-16 with its byte order mark, or in some 8-bit encoding.

    An 8-bit encoding cannot be proved, only refuted: Latin-1, Windows-1252, Shift JIS and their
    like pass when no byte is a control character that text does not use.
    """

    def __init__(self) -> None:
        self._begin = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._charset: str | None = None
        self._marked = False

    def feed(self, block: bytes) -> None:
        """Scan the next block. Raises NotText."""
        if self._decoder is None:
            block = self._begin + block
            self._begin = block
            if len(block) < 3:
                return
            self._detect()
        self._scan(block, final=False)

    def conclude(self) -> str | None:
        """The charset, None if it is unknown; raises NotText if the text stops in a character."""
        if self._decoder is None:
            self._detect()
            self._scan(self._begin, final=False)
        self._scan(b"", final=True)
        return self._charset

    def _detect(self) -> None:
        if self._begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._charset = "utf-16"
        else:
            self._charset = "utf-8"
        self._marked = self._begin.startswith(codecs.BOM_UTF8)
        self._decoder = codecs.getincrementaldecoder(self._charset)()
        self._begin = self._begin[:3]

    def _scan(self, block: bytes, *, final: bool) -> None:
        assert self._decoder is not None
        if self._charset == "utf-16":
            try:
                text = self._decoder.decode(block, final)
            except UnicodeDecodeError:
                raise NotText("not valid UTF-16, as its first bytes say it is") from None
            if _CONTROL_CHARACTER.search(text):
                raise NotText("not text: it contains control characters")
            return
        if block.translate(None, _TEXT_BYTES):  # ten times as fast as a regular expression
            raise NotText("not text: it contains control characters")
        if self._charset == "utf-8":
            if block.isascii() and not final and not self._decoder.getstate()[0]:
                return
            try:
                self._decoder.decode(block, final)
            except UnicodeDecodeError:
                if self._marked:
                    raise NotText("not valid UTF-8, as its first bytes say it is") from None
                self._charset = None
