"""JpegScan: the size of a JPEG, and whether it ends with its last marker (ITU-T T.81, annex B)."""

import re

from fileservice.upload.errors import TooComplex
from fileservice.upload.inspection.image_walk import ImageWalk

_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a segment: TEM, RSTn and SOI."""
_END, _SCAN = 0xD9, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOFn: the segments that give the size."""
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""Among the coded bytes of a scan, 255 is followed by 0, and restart markers may come. A byte to
fill up may come before a marker; each counts as a step, as there are only a few."""


class JpegScan(ImageWalk):
    """Walks over the segments up to the first scan or, if `to_end`, to the end.

    Pictures of phones have tens of kilobytes before their size, so it is not in the head.
    """

    def __init__(self, max_pixels: int, *, to_end: bool) -> None:
        super().__init__()
        self._max_pixels = max_pixels
        self.needs_end = to_end
        self._is_in_scan = False

    def step(self, data: bytes, at: int) -> int | None:
        if self._is_in_scan:
            return self._step_over_scan(data, at)
        if len(data) - at < 2:
            return None
        if data[at] != 0xFF:
            raise ValueError
        marker = data[at + 1]
        if marker == 0xFF:  # a byte to fill up
            return at + 1
        if marker in _ALONE:
            return at + 2
        if marker == _END:
            self.has_ended = True
            return at + 2
        if marker == 0:
            raise ValueError
        if len(data) - at < 9:
            return None
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2:
            raise ValueError
        if marker in _FRAMES:
            pixels = int.from_bytes(data[at + 5 : at + 7]) * int.from_bytes(data[at + 7 : at + 9])
            if pixels > self._max_pixels:
                raise TooComplex("pixels", self._max_pixels, "pixels")
        if marker == _SCAN:
            self._is_in_scan = True
            self.has_ended = not self.needs_end
        return at + 2 + length

    def _step_over_scan(self, data: bytes, at: int) -> int | None:
        marker = _MARKER_IN_SCAN.search(data, at)
        if marker and marker[0] == b"\xff\xff":
            return marker.start() + 1
        if marker:
            self._is_in_scan = False
            return marker.start()
        if data[-1] != 0xFF:
            return len(data)
        return len(data) - 1 if at < len(data) - 1 else None
