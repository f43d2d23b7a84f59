"""GifEnd: whether a GIF ends with its trailer (GIF89a specification)."""

import re

from fileservice.upload.inspection.image_walk import ImageWalk

_HEADER = 13
"""Header and logical screen descriptor (sections 17 and 18)."""
_IMAGE_DESCRIPTOR = 10
_FULL_BLOCKS = re.compile(rb"(?:\xff.{255})++", re.DOTALL)
"""Data sub-blocks of 255 bytes, as nearly all are (section 15)."""


class GifEnd(ImageWalk):
    """Walks over images, extensions and their data sub-blocks up to the trailer."""

    def __init__(self) -> None:
        super().__init__()
        self._is_in_header = True
        self._is_in_data = False

    def step(self, data: bytes, at: int) -> int | None:
        if self._is_in_data:
            return self._step_over_data(data, at)
        if self._is_in_header:
            if len(data) - at < _HEADER:
                return None
            if data[at : at + 3] != b"GIF":
                raise ValueError
            self._is_in_header = False
            return at + _HEADER + _color_table(data[at + 10])
        kind = data[at]
        if kind == 0x3B:
            self.has_ended = True
            return at + 1
        if kind == 0x21:
            self._is_in_data = True
            return at + 2
        if kind != 0x2C:
            raise ValueError
        if len(data) - at < _IMAGE_DESCRIPTOR:
            return None
        self._is_in_data = True
        code_size = 1
        return at + _IMAGE_DESCRIPTOR + _color_table(data[at + 9]) + code_size

    def _step_over_data(self, data: bytes, at: int) -> int:
        full = _FULL_BLOCKS.match(data, at)
        if full:
            return full.end()
        self._is_in_data = data[at] != 0
        return at + 1 + data[at]


def _color_table(flags: int) -> int:
    """Return how many bytes the table has that the flags of a descriptor announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
