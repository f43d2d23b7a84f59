"""Staged files: bytes that are not published yet, each locked for as long as its writer lives.

The lock tells a writer that is slow from one that is dead: the kernel drops it with the process,
however that ends. So whoever can take the lock of a staged file may remove the file.
"""

import fcntl
import os
import secrets
from contextlib import suppress

from fileservice.storage.local import foreign_files


def create(directory: bytes) -> tuple[int, bytes]:
    """Make and lock an empty staged file; its descriptor (for reading and writing) and path."""
    while True:
        path = os.path.join(directory, secrets.token_hex(16).encode())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            swept = os.fstat(descriptor).st_nlink == 0
        except BlockingIOError:
            swept = True  # between open and flock a sweep took it for an orphan
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        if not swept:
            return descriptor, path
        os.close(descriptor)


def sweep(directory: bytes) -> None:
    """Remove the staged files whose writers are dead; what belongs to other users stays."""
    with os.scandir(directory) as entries:
        paths = [entry.path for entry in entries]
    for path in paths:
        try:
            with suppress(FileNotFoundError):
                _sweep(path)
        except PermissionError:
            foreign_files.tell(path, "it is not looked after")


def _sweep(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        pass  # its writer lives
    finally:
        os.close(descriptor)
