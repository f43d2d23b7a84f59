"""Which file system a directory is on."""

import ctypes
import os

_TMPFS = 0x01021994
_LOCAL = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    _TMPFS: "tmpfs",
    0x858458F6: "ramfs",
    0xF2F52010: "f2fs",
    0x2FC12FC1: "zfs",
    0xCA451A4E: "bcachefs",
    0x794C7630: "overlayfs",
    0x3153464A: "jfs",
    0x00003434: "nilfs2",
    0x7366746E: "ntfs3",
}
"""The values of `f_type` (`man 2 statfs`) of file systems that one kernel alone changes."""
_STATFS_SIZE = 256

_statfs = ctypes.CDLL(None, use_errno=True).statfs


def is_local(path: bytes) -> bool:
    """Return whether only this machine changes the file system at `path`. Raise OSError."""
    return _type(path) in _LOCAL


def is_tmpfs(path: bytes) -> bool:
    """Return whether files at `path` are in memory, in a tmpfs. Raise OSError."""
    return _type(path) == _TMPFS


def _type(path: bytes) -> int:
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    if _statfs(path, buffer) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), path)
    # f_type comes first, as a word; the values have 32 bits.
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF
