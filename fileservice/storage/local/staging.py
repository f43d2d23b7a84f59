"""Staged files: bytes that are not published yet, each locked (flock) while its writer lives.

The lock distinguishes a slow writer from a dead one, since the kernel releases it when the process
ends, for whatever reason. So a process that can lock a staged file may remove it.
"""

import fcntl
import itertools
import os
import secrets
from contextlib import suppress

from fileservice.storage.local import foreign_files, permissions

_process = secrets.token_hex(16).encode()
"""What the names begin with that this process gives: no other process on any machine has it."""
_numbers = itertools.count()


def _become_another_process() -> None:
    global _process
    _process = secrets.token_hex(16).encode()


os.register_at_fork(after_in_child=_become_another_process)


def create(directory: bytes, mode: int = permissions.PRIVATE) -> tuple[int, bytes]:
    """Create and lock an empty file; return its descriptor (for reading and writing) and path.

    It has the permissions `mode`, without those that the umask takes away.
    """
    while True:
        path = b"%b/%b%08x" % (directory, _process, next(_numbers))
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except FileExistsError:  # of the clone of a machine that had this process in its memory
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            swept = os.fstat(descriptor).st_nlink == 0
        except BlockingIOError:
            swept = True  # a sweep locked it between open and flock, as a file without a writer
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        if not swept:
            return descriptor, path
        os.close(descriptor)


def remove(path: bytes) -> None:
    """Remove a file that was never needed. On a disk that has become read-only a sweep does it."""
    with suppress(OSError):
        os.unlink(path)


def sweep(directory: bytes) -> None:
    """Remove the staged files whose writers are dead, except files of other users."""
    with os.scandir(directory) as entries:
        paths = [entry.path for entry in entries]
    for path in paths:
        try:
            with suppress(FileNotFoundError):
                _remove_unlocked(path)
        except PermissionError:
            foreign_files.log_once(path, "it is not swept")


def total_size(directory: bytes) -> int:
    """Return how many bytes all files have, also those whose writers are dead."""
    size = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                size += entry.stat(follow_symlinks=False).st_size
    return size


def _remove_unlocked(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        pass  # its writer is alive
    finally:
        os.close(descriptor)
