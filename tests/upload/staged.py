"""A staged file for tests of what judges it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO


class StagedFile:
    """See `storage.interface.StagedFile`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read_at(self, count: int, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(count)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        yield self._file.fileno()


def directly(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
    """Compute where it is."""
    return function(*arguments, **keywords)
