"""PngEnd: whether a PNG ends with its last chunk (PNG specification, third edition)."""

from fileservice.upload.inspection.image_walk import ImageWalk

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = 12
"""Length, type and CRC of a chunk (section 5.3)."""
_MAX_LENGTH = (1 << 31) - 1


class PngEnd(ImageWalk):
    """Walks over the chunks up to IEND."""

    def __init__(self) -> None:
        super().__init__()
        self._is_in_signature = True

    def step(self, data: bytes, at: int) -> int | None:
        if len(data) - at < 8:
            return None
        if self._is_in_signature:
            if data[at : at + 8] != _SIGNATURE:
                raise ValueError
            self._is_in_signature = False
            return at + 8
        length = int.from_bytes(data[at : at + 4])
        if length > _MAX_LENGTH:
            raise ValueError
        self.has_ended = data[at + 4 : at + 8] == b"IEND"
        return at + _CHUNK + length
