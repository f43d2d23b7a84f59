"""Locks between processes, each of a directory that is there anyway.

A file made only to be locked would need an inode, and there may be none when one wants to delete.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone(directory: bytes) -> Iterator[None]:
    """Be the only one, in any process, who holds the lock (flock) of this directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
