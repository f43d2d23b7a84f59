"""Window: reads many small pieces of a staged file with few calls and in bounded memory."""

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""``read_at(count, offset)`` returns up to `count` bytes of a file; see `storage.StagedFile`."""


class Window:
    """A part of a file in memory, which is moved to where bytes are wanted."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at = read_at
        self._size = size
        self._offset = 0
        self._bytes = b""

    def read(self, count: int, offset: int) -> bytes:
        """Return `count` bytes from `offset`, or fewer at the end of the file."""
        begin = offset - self._offset
        if begin < 0 or begin + count > len(self._bytes):
            self._bytes = self._read_at(max(count, self._size), offset)
            self._offset, begin = offset, 0
        return self._bytes[begin : begin + count]
