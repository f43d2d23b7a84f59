"""NameFile: sorted names in a file, one on each line, that are searched by bisection.

The file begins with a header of fixed length, which has a checksum of the rest. The file is not
synced, so it may be short or full of zeros after a power failure. Whoever opens a file that it does
not know verifies the checksum.
"""

import os
import re
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

from fileservice.storage.local import checkpoint, staging

_BLOCK = 64 * 1024
_SHORT_BLOCK = 8 * 1024
"""Bytes that are read first: most readers want one page of the list."""
_MAX_LINE = 256
_HEADER = b"fileservice-names-2 %-36b %020d %020d %020d %020d %08x\n"
"""The id of the boot, when the writing began (ns of the monotonic clock), the inode and the
modification time (ns) of the directory (0 if the names are not exactly those of one state), the
length (bytes) of the lines that follow, and their CRC-32."""
_HEADER_LENGTH = len(_HEADER % (b"", 0, 0, 0, 0, 0))
_HEADER_FORMAT = re.compile(
    rb"fileservice-names-2 ([-0-9a-f]+) +([0-9]{20}) ([0-9]{20}) ([-0-9]{20}) ([0-9]{20})"
    rb" ([0-9a-f]{8})\n"
)


class DirectoryState(NamedTuple):
    """The part of a directory's status that changes whenever a name in it does."""

    device: int
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, directory: bytes) -> Self:
        """Return the state of a directory. Raise OSError."""
        status = os.stat(directory)
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns)

    def is_same_directory(self, other: "DirectoryState") -> bool:
        """Return whether both are states of one directory."""
        return self[:2] == other[:2]


class FileId(NamedTuple):
    """What distinguishes a file from one that replaces it, and from itself once it is changed."""

    inode: int
    modified_ns: int
    size: int


class NameFile:
    """An open file of names; it is closed when nobody refers to it any more.

    Any number of threads may read it at the same time. Its methods may raise OSError.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        status = os.fstat(descriptor)
        self.id = FileId(status.st_ino, status.st_mtime_ns, status.st_size)
        match = _HEADER_FORMAT.fullmatch(os.pread(descriptor, _HEADER_LENGTH, 0))
        self._boot = match[1] if match else b""
        self._begun, *self._state, self._length = (
            map(int, match.groups()[1:5]) if match else (0, 0, 0, -1)
        )
        self._checksum = match[6] if match else b""

    @classmethod
    def open(cls, path: bytes) -> Self:
        """Open a file, which may be damaged. Raise OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def write(
        cls,
        directory: bytes,
        blocks: Iterable[list[bytes]],
        *,
        begun: int,
        state: Callable[[], DirectoryState | None] = lambda: None,
    ) -> tuple[Self, bytes]:
        """Write sorted names to a new file in `directory`; return it and its path.

        No change is missing that was made before `begun`, in nanoseconds of the monotonic clock.
        `state` is called once all names are written, and returns the state of which they are
        exactly the names, if there is one.
        """
        descriptor, path = staging.create(directory)
        try:
            length = checksum = 0
            for block in blocks:
                piece = b"\n".join([*block, b""])
                _write_at(descriptor, piece, _HEADER_LENGTH + length)
                length, checksum = length + len(piece), zlib.crc32(piece, checksum)
            boot, (_, *described) = _boot(), state() or (0, 0, 0)
            _write_at(descriptor, _HEADER % (boot, begun, *described, length, checksum), 0)
        except BaseException:
            os.close(descriptor)
            staging.remove(path)
            raise
        return cls(descriptor), path

    def is_undamaged(self) -> bool:
        """Return whether the checksum is right; this reads the whole file."""
        length = checksum = 0
        while piece := os.pread(self._descriptor, _BLOCK, _HEADER_LENGTH + length):
            length, checksum = length + len(piece), zlib.crc32(piece, checksum)
        return length == self._length and b"%08x" % checksum == self._checksum

    def is_of(self, state: DirectoryState) -> bool:
        """Return whether the file has exactly the names of this state."""
        return self._state == [state.inode, state.modified_ns]

    def has_changes_until(self, moment: int) -> bool:
        """Return whether no change is missing that was made before this moment of this boot."""
        return self._boot == _boot() != b"-" and self._begun >= moment

    def blocks(self, start: bytes = b"") -> Iterator[list[bytes]]:
        """Return the names from `start` on, `start` included, in byte order and in blocks."""
        offset, length, rest = self._bisect(start), _SHORT_BLOCK, b""
        while piece := os.pread(self._descriptor, length, offset):
            offset, length = offset + len(piece), _BLOCK
            *block, rest = (rest + piece).split(b"\n")
            if block and block[0] < start:
                block = [name for name in block if name >= start]
            if block:
                yield block

    def _bisect(self, wanted: bytes) -> int:
        """Return the offset of a line near the first one that is not less than `wanted`.

        That line is not after it.
        """
        low, high = _HEADER_LENGTH, self.id.size
        while high - low > _BLOCK // 16:
            middle = (low + high) // 2
            piece = os.pread(self._descriptor, 2 * _MAX_LINE, middle)
            begin = piece.find(b"\n") + 1
            end = piece.find(b"\n", begin)
            if not begin or end < 0:
                return low  # these are not lines; reading on from `low` misses no name
            if piece[begin:end] < wanted:
                low = middle + begin
            else:
                high = middle
        return low


def _boot() -> bytes:
    return (checkpoint.boot_id() or "-").encode()


def _write_at(descriptor: int, piece: bytes, offset: int) -> None:
    rest = memoryview(piece)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
