"""Utf8Scan: whether a stream of blocks is UTF-8 to its end.

Python finds that out by decoding, 1.4 to 2.7 GiB in a second, which is slower than SHA-256. Here,
stringzilla translates each byte to its part in a character and looks for those sequences of parts
that no character has, which is three times as fast. What it cannot judge is decoded.
"""

import codecs

import stringzilla

_ASCII, _CONTINUATION, _LEAD_2, _LEAD_3 = 2, 1, 3, 4
"""The part of a byte in a character is 2 plus the number of bytes that follow it, or 1 if it is one
of those. So the sum of all parts is twice their number if and only if as many bytes follow leading
bytes as should."""
_PARTS = bytes([_ASCII] * 0x80 + [_CONTINUATION] * 0x40 + [_LEAD_2] * 0x20 + [_LEAD_3] * 0x20)
_TOO_LONG = [bytes([lead] + [_CONTINUATION] * (lead - 1)) for lead in (_ASCII, _LEAD_2, _LEAD_3)]
_CONTINUATIONS = bytes(range(0x80, 0xC0))
UNCOMMON = bytes([0xC0, 0xC1, 0xE0, 0xED, *range(0xF0, 0x100)])
"""The bytes that never occur in UTF-8, that lead four bytes, or that not all bytes may follow."""

_IS_FAST = "haswell" in stringzilla.__capabilities__
"""Whether the processor has AVX2. With less, to look so often would take longer than to decode; on
ARM it was not measured."""


class NotUtf8(Exception):
    """The bytes are not UTF-8."""


class Utf8Scan:
    """Scans the pieces of one text, which may be divided anywhere."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    @property
    def is_inside_character(self) -> bool:
        """Whether the last piece ended before the last byte of a character."""
        return bool(self._decoder.getstate()[0])

    def feed(self, piece: memoryview, *, has_uncommon: bool) -> None:
        """Scan the next piece; `has_uncommon` says if it has any byte of UNCOMMON. Raise NotUtf8.

        The piece should stay in the processor's cache, as it is looked at several times.
        """
        first = -1
        if _IS_FAST and not has_uncommon:
            first = stringzilla.find_first_not_of(piece, _CONTINUATIONS)
        if first < 0:
            self._decode(piece, final=False)
            return
        last = stringzilla.find_last_not_of(piece, _CONTINUATIONS)
        self._decode(piece[:first], final=True)
        if not _is_utf8(piece[first:last]):
            raise NotUtf8
        self._decode(piece[last:], final=False)

    def conclude(self) -> None:
        """Raise NotUtf8 if the text ends inside a character."""
        self._decode(b"", final=True)

    def _decode(self, piece: bytes | memoryview, *, final: bool) -> None:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            raise NotUtf8 from None


def _is_utf8(text: memoryview) -> bool:
    """Return whether `text` consists of whole characters.

    It begins with no continuation and has no uncommon bytes. No leading byte, or byte of ASCII, is
    followed by more continuations than it should be, and the sum says that none is by fewer.
    """
    parts = stringzilla.translate(text, _PARTS)
    if any(stringzilla.find(parts, sequence) >= 0 for sequence in _TOO_LONG):
        return False
    return bool(stringzilla.bytesum(parts) == 2 * len(text))
