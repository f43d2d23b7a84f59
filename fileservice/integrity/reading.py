"""Reading a whole file of a store for its digest, at a limited rate."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from fileservice.storage import Opened

BLOCK = 1 << 20


class ReadThrottle:
    """Keeps all threads together to a number of bytes in a second."""

    def __init__(self, bytes_per_second: int | None = None) -> None:
        """None is for no limit."""
        self._rate = bytes_per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, count: int) -> None:
        """Return when `count` bytes more may have been read."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now - 1.0) + count / self._rate
            seconds = self._next - now
        if seconds > 0:
            time.sleep(seconds)


def blocks_of(opened: Opened, rate: ReadThrottle) -> Iterator[bytes]:
    """Yield the bytes of an opened file. Raise OSError or StorageError."""
    while block := opened.body.read(BLOCK):
        rate.wait(len(block))
        yield block


def digest_of(opened: Opened, rate: ReadThrottle) -> bytes:
    """Return the SHA-256 of an opened file, as it is on the disk. Raise OSError or StorageError."""
    digest = hashlib.sha256()
    drop_cache(opened)
    for block in blocks_of(opened, rate):
        digest.update(block)
    return digest.digest()


def drop_cache(opened: Opened) -> None:
    """Have the kernel forget what it has of a file in memory: the bytes on the disk are meant."""
    with suppress(OSError):  # a file in a bucket has no descriptor
        os.posix_fadvise(opened.body.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
