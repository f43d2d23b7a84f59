"""Operations on directories: locking them, and syncing the names in them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lock_directory(path: bytes) -> Iterator[None]:
    """Wait for the exclusive lock (flock) of a directory, and hold it for the context.

    A file made only to be locked would need an inode, and there may be none left when a file has
    to be deleted.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync_directory(path: bytes) -> None:
    """Return when the names in a directory will survive a power failure. Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
