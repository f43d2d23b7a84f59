"""Checkpoint: how many bytes of an unfinished upload are known to be on the disk.

The size of a file does not say so. A file system may write a size to the disk before the bytes
(ext4 does), and bytes whose fsync failed look written to every descriptor that is opened later. So
the number of bytes for which an fsync has succeeded is kept in a file of its own. Bytes after this
offset count only while the page cache that took them still exists and no fsync of them has failed;
otherwise they are dropped before anything is appended to them.

The file has two slots, each in a disk sector of its own, which are written in turn: a write that is
torn by a power failure leaves the other slot. The file is locked (flock) while bytes are synced or
dropped; else another process could sync, with a descriptor of its own, bytes whose fsync has just
failed, and count them. A slot is written and synced in one system call (O_DSYNC): a process that is
killed leaves no slot that others read and that may be missing on the disk.
"""

import ctypes
import errno
import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fileservice.storage.local.permissions import PRIVATE

SUFFIX = b".checkpoint"
"""Appended to the path of the bytes, this gives that of the checkpoint."""

_SLOT_SIZE = 512
"""The smallest number of bytes that a disk writes as one unit."""
_NO_PAGE_CACHE = "-"
"""Stands for the page cache if bytes after the offset are not to be counted."""

_AT_EMPTY_PATH = 0x1000
_STATX_MNT_ID_UNIQUE = 0x4000
"""Asks for a mount id that is never used again (Linux 6.8); older kernels ignore this."""
_STATX_SIZE, _STATX_MNT_ID_OFFSET = 256, 144
_statx = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)


class _Slot(NamedTuple):
    number: int
    offset: int
    page_cache: str

    def to_bytes(self) -> bytes:
        text = f"{self.number} {self.offset} {self.page_cache}".encode()
        return b"%s %08x\n" % (text, zlib.crc32(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Slot":
        """Parse a slot; return one with the offset 0 if the checksum does not match."""
        text, _, checksum = data.partition(b"\n")[0].rpartition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return cls(0, 0, _NO_PAGE_CACHE)
        number, offset, page_cache = text.decode("ascii").split(" ")
        return cls(int(number), int(offset), page_cache)


class Checkpoint:
    """The checkpoint of one upload, opened and locked; see `locked`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        slots = [_Slot.from_bytes(os.pread(descriptor, _SLOT_SIZE, at)) for at in (0, _SLOT_SIZE)]
        self._slot = max(slots)

    @property
    def offset(self) -> int:
        """The number of bytes that are on the disk."""
        return self._slot.offset

    def is_page_cache_known(self, descriptor: int) -> bool:
        """Return whether the page cache of the opened file is the one that was recorded.

        If so, the bytes after the offset are those that were written.
        """
        return self._slot.page_cache == page_cache_of(descriptor)

    def advance(self, offset: int, descriptor: int) -> None:
        """Record that the bytes of the opened file up to `offset` have been synced."""
        self._write(offset, page_cache_of(descriptor))

    def lower(self, offset: int, descriptor: int) -> None:
        """Record durably that the bytes from `offset` on no longer count, before they change."""
        self.advance(min(offset, self.offset), descriptor)

    def renew(self, descriptor: int) -> None:
        """Record that the bytes after the offset were dropped; bytes written from now on count."""
        self._write(self.offset, page_cache_of(descriptor))

    def forget_page_cache(self) -> None:
        """Record that the bytes after the offset could not be synced and must not be counted."""
        self._write(self.offset, _NO_PAGE_CACHE)

    def _write(self, offset: int, page_cache: str) -> None:
        slot = _Slot(self._slot.number + 1, offset, page_cache)
        os.pwrite(self._descriptor, slot.to_bytes(), slot.number % 2 * _SLOT_SIZE)
        self._slot = slot  # after a failed write, the next one uses the same slot again


def create(path: bytes, descriptor: int) -> None:
    """Create the checkpoint at `path` for a new and empty file opened as `descriptor`.

    It gets all of its space now, so that it can be written later even if the disk is full.
    """
    checkpoint = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        slot = _Slot(0, 0, page_cache_of(descriptor)).to_bytes()
        os.pwrite(checkpoint, slot.ljust(2 * _SLOT_SIZE, b"\0"), 0)
    finally:
        os.close(checkpoint)


@contextmanager
def locked(path: bytes) -> Iterator[Checkpoint]:
    """Wait for the lock of the checkpoint at `path`, and read it. Raise FileNotFoundError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # reading it is still possible
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Checkpoint(descriptor)
    finally:
        os.close(descriptor)


def page_cache_of(descriptor: int) -> str:
    """Return a name for the page cache that has the unsynced bytes of an opened file.

    It consists of the ids of the boot and of the mount. A file system that is unmounted and mounted
    again has another name. It also has another one through a second mount, where bytes are then
    dropped without need, and sent again by the client.
    """
    boot = boot_id() or f"process-{os.getpid()}"
    return f"{boot}/{_mount_id(descriptor)}"


@cache
def boot_id() -> str | None:
    """Return what distinguishes this boot of the machine from all others; None if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _mount_id(descriptor: int) -> int:
    """Return the id of the mount of an opened file (statx(2)); 0 if the kernel does not say."""
    status = ctypes.create_string_buffer(_STATX_SIZE)
    if not _statx or _statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_MNT_ID_UNIQUE, status):
        return 0
    return int.from_bytes(status.raw[_STATX_MNT_ID_OFFSET:][:8], "little")
