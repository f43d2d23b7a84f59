"""Locks between processes, each of a directory that exists anyway.

A file made only to be locked would need an inode, and there may be none left when a file has to be
deleted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lock_directory(path: bytes) -> Iterator[None]:
    """Wait for the exclusive lock (flock) of a directory, and hold it for the context."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
