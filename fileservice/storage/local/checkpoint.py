"""Checkpoint: how many bytes of an unfinished upload are known to be on the disk.

The size of a file does not say so. A file system may write a size down before the bytes (ext4
does), and what a failed fsync left behind looks written to every descriptor that is opened later.
So the number of bytes for which an fsync has succeeded is kept in a file of its own. Bytes past it
count only while the page cache that took them is still there and no fsync of them has failed; they
are dropped before anything is added to them.

The file has two slots, each in a sector of its own and written in turn: a write that a power cut
tears leaves the other one. It is locked (flock) while bytes are synced or dropped, so that nobody
syncs by another descriptor what has just failed, and counts it. A slot is written and synced in one
system call (O_DSYNC): a process that is killed leaves none that others see and the disk may lack.
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

SUFFIX = b".checkpoint"
"""What the path of the checkpoint has more than that of the bytes."""

_SLOT = 512
"""Bytes that a disk writes in one piece at least."""
_LOST = "-"
"""Stands for the page cache where bytes past the offset are not to be counted."""

_AT_EMPTY_PATH = 0x1000
_STATX_MNT_ID_UNIQUE = 0x4000
"""Asks for an id of the mount that is never used again (Linux 6.8); older kernels ignore it."""
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
        """The slot; one that says nothing where the bytes are not those of a slot."""
        text, _, checksum = data.partition(b"\n")[0].rpartition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return cls(0, 0, _LOST)
        number, offset, page_cache = text.decode("ascii").split(" ")
        return cls(int(number), int(offset), page_cache)


class Checkpoint:
    """The checkpoint of one upload, opened and locked; see `locked`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        slots = [_Slot.from_bytes(os.pread(descriptor, _SLOT, at)) for at in (0, _SLOT)]
        self._slot = max(slots)

    @property
    def offset(self) -> int:
        """So many bytes are on the disk."""
        return self._slot.offset

    def vouches(self, descriptor: int) -> bool:
        """Whether bytes past the offset, in the opened file, are those that were written there."""
        return self._slot.page_cache == page_cache_of(descriptor)

    def advance(self, offset: int, descriptor: int) -> None:
        """Bytes of the opened file up to `offset` have just been synced."""
        self._write(offset, page_cache_of(descriptor))

    def lower(self, offset: int, descriptor: int) -> None:
        """Bytes from `offset` on are about to be replaced: durably stop to count them."""
        self.advance(min(offset, self.offset), descriptor)

    def renew(self, descriptor: int) -> None:
        """What lay past the offset is gone; what is written to the opened file now counts."""
        self._write(self.offset, page_cache_of(descriptor))

    def distrust(self) -> None:
        """Bytes past the offset could not be synced, and nobody is to count them."""
        self._write(self.offset, _LOST)

    def _write(self, offset: int, page_cache: str) -> None:
        slot = _Slot(self._slot.number + 1, offset, page_cache)
        os.pwrite(self._descriptor, slot.to_bytes(), slot.number % 2 * _SLOT)
        self._slot = slot  # one that was not written says nothing, and the next takes its place


def create(path: bytes, descriptor: int) -> None:
    """Make the checkpoint at `path`, of the new and empty file that is opened as `descriptor`.

    It takes its room now, so that a full disk cannot keep it from being written later.
    """
    checkpoint = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        slot = _Slot(0, 0, page_cache_of(descriptor)).to_bytes()
        os.pwrite(checkpoint, slot.ljust(2 * _SLOT, b"\0"), 0)
    finally:
        os.close(checkpoint)


@contextmanager
def locked(path: bytes) -> Iterator[Checkpoint]:
    """The checkpoint at `path`, which nobody else touches meanwhile. Raises FileNotFoundError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # it can still be read
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Checkpoint(descriptor)
    finally:
        os.close(descriptor)


def page_cache_of(descriptor: int) -> str:
    """A name for what keeps the unsynced bytes of an opened file: this boot, and this mount.

    A mount that goes away and comes back is another one; so is the same file system seen through
    another mount, where bytes are then dropped without need, and sent once more.
    """
    return f"{_boot_id()}/{_mount_id(descriptor)}"


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"process-{os.getpid()}"


def _mount_id(descriptor: int) -> int:
    """The id of the mount that an opened file was reached by (statx(2)); 0 where none is told."""
    found = ctypes.create_string_buffer(_STATX_SIZE)
    if not _statx or _statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_MNT_ID_UNIQUE, found):
        return 0
    return int.from_bytes(found.raw[_STATX_MNT_ID_OFFSET:][:8], "little")
