"""TextScan: whether a stream of blocks is text to its end, and in which encoding."""

import codecs
import re

import stringzilla

from fileservice.upload.inspection.utf8 import UNCOMMON, NotUtf8, Utf8Scan

_CONTROL = frozenset((*range(0x07), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
"""The control characters that do not occur in text; libmagic has the same list."""
_CONTROL_BYTES = bytes(sorted(_CONTROL))
_NOT_ASCII = bytes(range(0x80, 0x100))
_NOT_PLAIN = _CONTROL_BYTES + _NOT_ASCII
_NOT_USUAL = _CONTROL_BYTES + UNCOMMON
_MARK_SIZE = 3
"""The length of the longest byte order mark."""
_PIECE = 64 * 1024
"""How many bytes are looked at in a time: few enough to stay in the processor's cache."""
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
        self._is_begun = False
        """Whether the first bytes have shown how the text is to be scanned."""
        self._utf8: Utf8Scan | None = None
        self._utf16: codecs.IncrementalDecoder | None = None
        self._charset: str | None = None
        self._has_utf8_mark = False

    def feed(self, block: bytes | memoryview) -> None:
        """Scan the next block. Raise NotText."""
        if not self._is_begun:
            if len(self._start) + len(block) < _MARK_SIZE:
                self._start += block
                return
            start, self._start = self._start, self._start + bytes(block[:_MARK_SIZE])
            self._detect_encoding()
            if start:
                self._scan(start)
        self._scan(block)

    def conclude(self) -> str | None:
        """Return the charset, or None if it is unknown.

        Raise NotText if the text ends inside a character.
        """
        if not self._is_begun:
            self._detect_encoding()
            self._scan(self._start)
        if self._utf16:
            self._decode_utf16(self._utf16, b"", final=True)
        if self._utf8:
            try:
                self._utf8.conclude()
            except NotUtf8:
                self._handle_not_utf8()
        return self._charset

    def _detect_encoding(self) -> None:
        if self._start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._charset = "utf-16"
            self._utf16 = codecs.getincrementaldecoder("utf-16")()
        else:
            self._charset = "utf-8"
        self._has_utf8_mark = self._start.startswith(codecs.BOM_UTF8)
        self._is_begun = True

    def _scan(self, block: bytes | memoryview) -> None:
        is_inside = self._utf8 and self._utf8.is_inside_character
        if not self._utf16 and not is_inside and stringzilla.find_first_of(block, _NOT_PLAIN) < 0:
            return
        view = memoryview(block)
        for start in range(0, len(view), _PIECE):
            piece = view[start : start + _PIECE]
            if self._utf16:
                self._decode_utf16(self._utf16, piece, final=False)
            else:
                self._scan_piece(piece)

    def _scan_piece(self, piece: memoryview) -> None:
        is_usual = stringzilla.find_first_of(piece, _NOT_USUAL) < 0
        if not is_usual and stringzilla.find_first_of(piece, _CONTROL_BYTES) >= 0:
            raise NotText("not text: it contains control characters")
        if self._charset is None:
            return
        if self._utf8 is None:
            if stringzilla.find_first_of(piece, _NOT_ASCII) < 0:
                return
            self._utf8 = Utf8Scan()  # most texts are ASCII, and need none
        try:
            self._utf8.feed(piece, has_uncommon=not is_usual)
        except NotUtf8:
            self._handle_not_utf8()

    def _handle_not_utf8(self) -> None:
        if self._has_utf8_mark:
            raise NotText("not valid UTF-8, as its first bytes say it is")
        self._charset = self._utf8 = None

    def _decode_utf16(
        self, decoder: codecs.IncrementalDecoder, piece: bytes | memoryview, *, final: bool
    ) -> None:
        try:
            text = decoder.decode(piece, final)
        except UnicodeDecodeError:
            raise NotText("not valid UTF-16, as its first bytes say it is") from None
        if _CONTROL_CHARACTER.search(text):
            raise NotText("not text: it contains control characters")
