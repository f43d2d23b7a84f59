"""Window: reads many small pieces of a staged file with few calls and in bounded memory."""

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""``read_at(count, offset)`` returns up to `count` bytes of a file; see `storage.StagedFile`."""


class Window:
    """A part of a file in memory, which is moved to where bytes are wanted."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at = read_at
        self._size = size
        self.offset = 0
        """Where in the file it begins."""
        self.content = b""
        """The bytes that are in memory."""

    def read(self, count: int, offset: int) -> bytes:
        """Return `count` bytes from `offset`, or fewer at the end of the file."""
        if not self.holds(count, offset):
            self.move(count, offset)
        return self.held(count, offset)

    def holds(self, count: int, offset: int) -> bool:
        """Return whether all of these bytes are in memory."""
        begin = offset - self.offset
        return begin >= 0 and begin + count <= len(self.content)

    def move(self, count: int, offset: int) -> None:
        """Read `count` bytes from `offset`, or more."""
        self.content = self._read_at(max(count, self._size), offset)
        self.offset = offset

    def held(self, count: int, offset: int) -> bytes:
        """Return those of these bytes that are in memory, to which the window was moved."""
        begin = offset - self.offset
        return self.content[begin : begin + count]
