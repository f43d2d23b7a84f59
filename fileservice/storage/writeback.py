"""Writeback that begins early, so that the fsync at the end has little left to wait for."""

import ctypes
import errno
import os

_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def begin(descriptor: int, offset: int, count: int) -> None:
    """Have the kernel begin to write these bytes to the disk, where it is one that can (Linux)."""
    if _sync_file_range:
        _sync_file_range(descriptor, offset, count, _SYNC_FILE_RANGE_WRITE)


def reserve(descriptor: int, count: int) -> None:
    """Take the room for a file of `count` bytes now, where the file system can.

    Raises OSError (ENOSPC, EDQUOT) when there is none.
    """
    try:
        os.posix_fallocate(descriptor, 0, count)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
