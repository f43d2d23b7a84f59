"""FreeSpace: whether there is space for one more file, without asking for it each time."""

import time
from typing import Protocol

from fileservice.storage import StorageFull

_SMALL = 1 << 20
"""Files of up to so many bytes are written before space is reserved for them."""
_PLENTY = 8 << 30
_PLENTY_OF_FILES = 100_000
"""What a store cannot lose within `_SECONDS`, whoever writes to it."""
_SECONDS = 0.1


class _Store(Protocol):
    """What is asked of a store; see `storage.Store`."""

    def free_space(self) -> int | None: ...

    def free_files(self) -> int | None: ...


class FreeSpace:
    """Whether uploads leave `min_free` bytes free in a store.

    A store that has plenty of space is asked only ten times a second, as long as files are small.
    Threads may share this.
    """

    def __init__(self) -> None:
        self._plenty_until = 0.0

    def require(self, store: _Store, content_length: int, min_free: int) -> None:
        """Raise StorageFull if there is no space for one more file of `content_length` bytes."""
        now = time.monotonic()
        if content_length <= _SMALL and now < self._plenty_until:
            return
        free, free_files = store.free_space(), store.free_files()
        left = None if free is None else free - content_length - min_free
        has_plenty = left is None or left >= _PLENTY
        has_plenty_of_files = free_files is None or free_files >= _PLENTY_OF_FILES
        self._plenty_until = now + _SECONDS if has_plenty and has_plenty_of_files else 0.0
        if left is not None and left < 0:
            raise StorageFull("there is not enough space left in the storage for this file")
        if free_files == 0:
            raise StorageFull("the storage has space for no more files, however small (inodes)")
