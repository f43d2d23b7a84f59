"""Room taken before it is written to, and writeback that begins before the fsync at the end."""

import ctypes
import errno
import os

_SYNC_FILE_RANGE_WRITE = 2
_FALLOC_FL_KEEP_SIZE = 1
_libc = ctypes.CDLL(None, use_errno=True)
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
# Not os.posix_fallocate: it changes the size, and writes zeros where the file system cannot do it.
_fallocate = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
if _fallocate:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def begin(descriptor: int, offset: int, count: int) -> None:
    """Have the kernel begin to write these bytes to the disk, where it is one that can (Linux)."""
    if _sync_file_range:
        _sync_file_range(descriptor, offset, count, _SYNC_FILE_RANGE_WRITE)


def reserve(descriptor: int, count: int) -> None:
    """Take the room for a file of `count` bytes now, where the file system can (Linux).

    The size of the file stays what it is. Raises OSError (ENOSPC, EDQUOT) when there is no room.
    """
    # From its end on: XFS wants to have room for all of what it is asked for, whatever is there.
    size = os.fstat(descriptor).st_size
    if not _fallocate or count <= size:
        return
    while _fallocate(descriptor, _FALLOC_FL_KEEP_SIZE, size, count - size):
        error = ctypes.get_errno()
        if error in (errno.EOPNOTSUPP, errno.ENOSYS):
            return
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))
