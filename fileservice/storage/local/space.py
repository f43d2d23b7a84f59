"""Space of a file system: how much is free, and how it is reserved for a file."""

import ctypes
import errno
import os
import time
from collections.abc import Generator

from fileservice.storage.errors import StorageFull
from fileservice.storage.local.directories import lock_directory
from fileservice.storage.local.file_system_type import is_tmpfs

SECTOR = 512
"""The unit of st_blocks, in bytes (stat(2))."""
_SPARE_INODES = 1000
"""This number, or one in a hundred on a small file system, is left for records and directories."""
STEP = 8 << 20
"""What `reserve_in_steps` reserves first, and as long as a step takes long."""
_STEP_SECONDS = 0.001
_PLENTY = 8 << 30
"""Space in bytes that some thousand uploads cannot use up before they look again."""
_PLENTY_FOR = 16
"""There is plenty of space for a file if this many like it would fit."""
_UNRESERVED = 2 << 20
"""How many bytes are written before it is found out again whether there is plenty of space."""
_AHEAD_DIVISOR = 8
"""At most one byte in so many that are free is reserved ahead: other files come, and it may not be
used."""

_FALLOC_FL_KEEP_SIZE = 1
_libc = ctypes.CDLL(None, use_errno=True)
# Not os.posix_fallocate: it changes the size, and writes zeros if the file system cannot allocate.
_fallocate = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
if _fallocate:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def reserve(
    directory: bytes,
    descriptor: int,
    size: int,
    *,
    ahead: int = 0,
    min_free: int = 0,
    if_needed: bool = False,
) -> int:
    """Reserve space for `size` bytes of a file, and for up to `ahead` bytes more.

    The check that `min_free` bytes stay free and the allocation are one step over all processes,
    under the lock of `directory`. With `if_needed`, nothing is allocated where that would make
    writing slower and there is plenty of space, at least for a moment. Return up to where the file
    can be written now, which is less than `size` then, or if the file system cannot allocate.
    Raise StorageFull or OSError.
    """
    allocated = _allocated(descriptor)
    if size <= allocated:
        return allocated
    if if_needed and _can_wait(directory, size - allocated, min_free):
        return min(size, allocated + _UNRESERVED)
    with lock_directory(directory):
        available = _available(directory, allocated, size, min_free)
        ahead = min(ahead, (allocated + available - size) // _AHEAD_DIVISOR)
        try:
            allocate(descriptor, size + ahead)
        except OSError:
            if not ahead:
                raise
            allocate(descriptor, size)
    return _allocated(descriptor)


def reserve_in_steps(
    directory: bytes, descriptor: int, size: int, *, min_free: int = 0
) -> Generator[int, None, None]:
    """Reserve space as `reserve` does if it is needed; after each step, yield what that returns.

    The lock of `directory` is held until the iterator ends or is closed.
    """
    allocated = _allocated(descriptor)
    if size <= allocated:
        yield allocated
        return
    if _can_wait(directory, size - allocated, min_free):
        yield min(size, allocated + _UNRESERVED)
        return
    with lock_directory(directory):
        _available(directory, allocated, size, min_free)
        count, end = STEP, os.fstat(descriptor).st_size
        while end < size:
            begun = time.monotonic()
            start, end = end, min(size, end + count)
            allocate(descriptor, end, start)
            if time.monotonic() - begun < _STEP_SECONDS:
                count *= 2
            yield _allocated(descriptor)


def _can_wait(directory: bytes, count: int, min_free: int) -> bool:
    """Return whether no space for `count` bytes needs to be allocated yet, and it is better not to.

    On a tmpfs, this takes half as long as to receive and to write them; on disks, files that were
    allocated before are written and synced faster.
    """
    if not is_tmpfs(directory):
        return False
    return free(directory) - min_free >= max(_PLENTY, _PLENTY_FOR * count)


def _available(directory: bytes, allocated: int, size: int, min_free: int) -> int:
    """Return how many bytes may be allocated. Raise StorageFull if they are too few."""
    available = max(0, free(directory) - min_free)
    if allocated + available < size:
        raise StorageFull("there is not enough space left in the storage for this file")
    return available


def allocate(descriptor: int, count: int, start: int = 0) -> None:
    """Allocate space for the first `count` bytes of a file, where the file system can (Linux).

    Those before `start` have space already. The size of the file does not change. Raise OSError
    (ENOSPC, EDQUOT) if there is no space.
    """
    # From the end of the file on: XFS demands free space for the whole range that is asked for,
    # whatever the file has already.
    start = max(start, os.fstat(descriptor).st_size)
    if not _fallocate or count <= start:
        return
    while _fallocate(descriptor, _FALLOC_FL_KEEP_SIZE, start, count - start):
        error = ctypes.get_errno()
        if error in (errno.EOPNOTSUPP, errno.ENOSYS):
            return
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))


def reserved(status: os.stat_result) -> int:
    """Return how many bytes of space a file has beyond its size."""
    return max(0, status.st_blocks * SECTOR - status.st_size)


def free(path: bytes) -> int:
    """Return how many bytes may still be written to the file system at `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def free_inodes(path: bytes) -> int | None:
    """Return how many files may still be created; None if there is no limit (btrfs)."""
    status = os.statvfs(path)
    if not status.f_files:
        return None
    return max(0, status.f_favail - min(_SPARE_INODES, status.f_files // 100))


def _allocated(descriptor: int) -> int:
    status = os.fstat(descriptor)
    return max(status.st_blocks * SECTOR, status.st_size)
