"""JsonNesting: how deep arrays and objects are nested in a JSON text, while its bytes pass.

RFC 8259 section 9 lets a reader limit the depth, and many fail where it is large, some by a crash.
"""

from array import array
from itertools import accumulate

from fileservice.upload.errors import TooComplex

MAX_NESTING = 500
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OTHERS = bytes(set(range(256)) - set(b'[{]}"'))
_PIECE = 64 * 1024
"""How many bytes are looked at in a time: few enough to stay in the processor's cache."""
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
            outside = self._brackets(bytes(view[start : start + _PIECE]))
            for first in range(0, len(outside), _SEGMENT):
                self._count(outside[first : first + _SEGMENT])

    def _brackets(self, data: bytes) -> bytes:
        """Return the steps of the brackets outside of strings."""
        data = data[self._has_escape :]
        self._has_escape = False
        if b"\\" in data:
            data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
            self._has_escape = data.endswith(b"\\")
        # A string that goes on before or after these bytes is taken for one in itself.
        marks = b'"' * self._is_in_string + data.translate(_STEPS, _OTHERS)
        brackets = marks.translate(None, b'"')
        self._is_in_string = (len(marks) - len(brackets)) % 2 == 1
        marks += b'"' * self._is_in_string
        if 2 * marks.count(b'""') == len(marks) - len(brackets):
            return brackets  # no string has a bracket, which is usual, and takes half the time
        return b"".join(marks.replace(b'""', b"").split(b'"')[::2])

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
