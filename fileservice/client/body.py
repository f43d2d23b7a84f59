"""FileBody: a part of a local file as the body of a request."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fileservice.client.errors import FileChanged, LocalFileError

_BLOCK = 256 * 1024


class FileBody:
    """The bytes of an opened file from `start` on; it is read once."""

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        start: int,
        length: int,
        on_read: Callable[[int], None],
    ) -> None:
        """`on_read` is given the offset behind each block that was read to be sent."""
        self._path = path
        self._file = file
        self._position = start
        self._start = start
        self._end = start + length
        self._on_read = on_read

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(_BLOCK):
            yield block

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raise LocalFileError, or FileChanged if the file is shorter."""
        rest = self._end - self._position
        count = rest if size < 0 else min(size, rest)
        if not count:
            return b""
        try:
            self._file.seek(self._position)
            block = self._file.read(count)
        except OSError as error:
            raise LocalFileError(self._path, error) from None
        if not block:
            raise FileChanged(self._path)
        self._position += len(block)
        self._on_read(self._position)
        return block
