"""JsonNesting: how deep arrays and objects are nested in a JSON text, while its bytes pass.

RFC 8259 section 9 lets a reader limit the depth, and many fail where it is large, some by a crash.
"""

from array import array
from itertools import accumulate

import stringzilla

from fileservice.upload.errors import TooComplex

MAX_NESTING = 500
_CLOSING, _QUOTE, _OPENING = b"\0", b"\1", b"\2"
"""Each of these marks is 1 more than the step that it makes in depth."""
_MARKS = bytes.maketrans(b'[{"]}', 2 * _OPENING + _QUOTE + 2 * _CLOSING)
_BRACKETS = b"[{]}"
_OTHERS = bytes(set(range(256)) - set(b'"' + _BRACKETS))
_TO_QUOTES = bytes(byte == ord('"') for byte in range(256))
_TO_OPENINGS = bytes.maketrans(_OPENING + _QUOTE, b"\1\0")
_TO_STEPS = bytes.maketrans(_CLOSING + _OPENING, b"\xff\1")
_PIECE = 64 * 1024
"""How many bytes are looked at in a time: few enough to stay in the processor's cache."""
_MAX_PARTS = 32
"""Into how many parts a piece is divided at most, to find that none can exceed the depth."""
_SEGMENT = 256
"""How many brackets are counted at once as long as they cannot exceed the depth together."""
_MAX_DEEP_SEGMENTS = 20_000
"""How many segments may be so deep that each of their brackets is looked at."""


class JsonNesting:
    """Counts brackets outside of strings; whether the text is JSON is for others to say."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_string = False
        self._has_escape = False
        """Whether the bytes so far end with a backslash that escapes the next."""
        self._deep_segments = 0

    def feed(self, block: bytes | memoryview) -> None:
        """Count the next brackets. Raise TooComplex."""
        view = memoryview(block)
        for start in range(0, len(view), _PIECE):
            marks = self._marks(bytes(view[start : start + _PIECE]))
            if not self._count_in_parts(marks):
                steps = marks.translate(_TO_STEPS, _QUOTE)
                for first in range(0, len(steps), _SEGMENT):
                    self._count(steps[first : first + _SEGMENT])

    def _marks(self, data: bytes) -> bytes:
        """Return the brackets outside of strings, and any number of quotation marks."""
        data = data[self._has_escape :]
        self._has_escape = False
        if b"\\" in data:
            data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
            self._has_escape = data.endswith(b"\\")
        if stringzilla.find_first_of(data, _BRACKETS) < 0:
            quotes = stringzilla.bytesum(stringzilla.translate(data, _TO_QUOTES))
            self._is_in_string = (self._is_in_string + quotes) % 2 == 1
            return b""
        # A string that goes on before or after these bytes is taken for one in itself.
        marks = _QUOTE * self._is_in_string + data.translate(_MARKS, _OTHERS)
        openings = stringzilla.bytesum(stringzilla.translate(marks, _TO_OPENINGS))
        quotes = stringzilla.bytesum(marks) - 2 * openings
        self._is_in_string = quotes % 2 == 1
        marks += _QUOTE * self._is_in_string
        if 2 * marks.count(2 * _QUOTE) == quotes + self._is_in_string:
            return marks  # no string has a bracket, which is usual, and takes half the time
        return b"".join(marks.replace(2 * _QUOTE, b"").split(_QUOTE)[::2])

    def _count_in_parts(self, marks: bytes) -> bool:
        """Count brackets if no part has so many openings that it may exceed the depth.

        Return whether this was so.
        """
        is_opening = memoryview(stringzilla.translate(marks, _TO_OPENINGS))
        left = MAX_NESTING - self._depth
        parts = stringzilla.bytesum(is_opening) // max(left, 1) * 5 // 4 + 1
        if parts > _MAX_PARTS:
            return False
        depth, size, view = self._depth, len(marks) // parts + 1, memoryview(marks)
        for first in range(0, len(marks), size):
            part = view[first : first + size]
            if depth + stringzilla.bytesum(is_opening[first : first + size]) > MAX_NESTING:
                return False
            depth += stringzilla.bytesum(part) - len(part)
        self._depth = depth
        return True

    def _count(self, segment: bytes) -> None:
        opening = segment.count(1)
        if self._depth + opening > MAX_NESTING:
            self._deep_segments += 1
            depths = accumulate(array("b", segment), initial=self._depth)
            if max(depths) > MAX_NESTING or self._deep_segments > _MAX_DEEP_SEGMENTS:
                raise TooComplex("nesting", MAX_NESTING, "levels of arrays and objects")
        self._depth += 2 * opening - len(segment)

    def conclude(self) -> None:
        """Return: wherever a text ends, its depth is known."""
