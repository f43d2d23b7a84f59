"""TextScan: whether a stream of blocks is text to its end, and in which encoding."""

import codecs
import re

_CONTROL = frozenset((*range(0x07), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
"""The control characters that do not occur in text; libmagic has the same list."""
_TEXT_BYTES = bytes(byte for byte in range(256) if byte not in _CONTROL)
_CONTROL_CHARACTER = re.compile(f"[{re.escape(''.join(map(chr, sorted(_CONTROL))))}\ufffe]")


class NotText(Exception):
    """The bytes are not text; ``str(error)`` says what they are instead."""


class TextScan:
    """Scans text in UTF-8, in UTF-16 with its byte order mark, or in an 8-bit encoding.

    Nothing shows that bytes are in an 8-bit encoding, such as Latin-1, Windows-1252 or Shift JIS.
    They are accepted if no byte is a control character that does not occur in text.
    """

    def __init__(self) -> None:
        self._start = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._charset: str | None = None
        self._has_utf8_mark = False

    def feed(self, block: bytes) -> None:
        """Scan the next block. Raise NotText."""
        if self._decoder is None:
            block = self._start + block
            self._start = block
            if len(block) < 3:
                return
            self._detect_encoding()
        self._scan(block, final=False)

    def conclude(self) -> str | None:
        """Return the charset, or None if it is unknown.

        Raise NotText if the text ends inside a character.
        """
        if self._decoder is None:
            self._detect_encoding()
            self._scan(self._start, final=False)
        self._scan(b"", final=True)
        return self._charset

    def _detect_encoding(self) -> None:
        if self._start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._charset = "utf-16"
        else:
            self._charset = "utf-8"
        self._has_utf8_mark = self._start.startswith(codecs.BOM_UTF8)
        self._decoder = codecs.getincrementaldecoder(self._charset)()
        self._start = self._start[:3]

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
                if self._has_utf8_mark:
                    raise NotText("not valid UTF-8, as its first bytes say it is") from None
                self._charset = None
