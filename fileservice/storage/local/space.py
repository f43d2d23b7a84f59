"""Room for files: looked for and taken in one step, so that what stays free holds in sum."""

import os

from fileservice.storage.errors import StorageFull
from fileservice.storage.local import writeback
from fileservice.storage.local.directory_lock import lock_directory

SECTOR = 512
"""What st_blocks counts in, in bytes (stat(2))."""
_SPARE_INODES = 1000
"""So many, or one in a hundred of a small file system, are left for records and directories."""


def take(locked: bytes, descriptor: int, size: int, *, ahead: int = 0, min_free: int = 0) -> int:
    """Take the room for `size` bytes of a file, and up to `ahead` more if that is there.

    `min_free` bytes stay free on the file system. `locked` is the directory whose lock is held.
    How many bytes of the file there is room for now: fewer where a file system cannot reserve.
    Raises StorageFull, OSError.
    """
    taken = _taken(descriptor)
    if size <= taken:
        return taken
    with lock_directory(locked):
        spare = max(0, free(locked) - min_free)
        if taken + spare < size:
            raise StorageFull("there is not enough room left in the storage for this file")
        # Others come, too, and what is taken ahead may never be used.
        ahead = min(ahead, (taken + spare - size) // 8)
        try:
            writeback.reserve(descriptor, size + ahead)
        except OSError:
            if not ahead:
                raise
            writeback.reserve(descriptor, size)
    return _taken(descriptor)


def free(path: bytes) -> int:
    """Bytes that may still be written to the file system at `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def free_inodes(path: bytes) -> int | None:
    """Files that may still be made there; None where their number has no limit (btrfs)."""
    status = os.statvfs(path)
    if not status.f_files:
        return None
    return max(0, status.f_favail - min(_SPARE_INODES, status.f_files // 100))


def _taken(descriptor: int) -> int:
    status = os.fstat(descriptor)
    return max(status.st_blocks * SECTOR, status.st_size)
