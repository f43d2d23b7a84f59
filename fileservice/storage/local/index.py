"""NameIndex: the sorted names of a directory, for pages that do not read the whole directory.

A directory returns its entries in no order, so each page of a sorted listing would cost a scan of
all of them. The index keeps the sorted names in a file, one in a line, and searches it by
bisection. Neither time nor memory grows with the number of files once it exists. It is a cache that
all processes share, and it is rebuilt when the modification time of the directory has changed.

The file begins with a header of fixed length, which has a checksum of the rest. The file is not
synced, so it may be short or full of zeros after a power failure. A process verifies the checksum
when it first opens a file, and rebuilds a damaged one.

If no index can be written (the file system is full, has no inodes left or is read-only), the names
are sorted in as many scans of the directory as their number requires. That takes longer, but it
needs neither space nor more memory.
"""

import heapq
import os
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from typing import BinaryIO

from fileservice.storage.local import staging

_BLOCK = 64 * 1024
_RUN = 50_000
_MAX_LINE = 256
_HEADER = b"fileservice-names %020d %020d %020d %08x\n"
"""The inode and the modification time (ns) of the directory, the length (bytes) of the lines that
follow, and their CRC-32."""
_HEADER_LENGTH = len(_HEADER % (0, 0, 0, 0))


class NameIndex:
    """The sorted names of the regular, visible files in `directory`.

    `run` is how many names are sorted in memory at a time.
    """

    def __init__(
        self, directory: bytes, path: bytes, staging_directory: bytes, *, run: int = _RUN
    ) -> None:
        self._directory = directory
        self._path = path
        self._staging = staging_directory
        self._run = run
        self._verified: tuple[int, int, int] | None = None
        """Inode, modification time and size of the index file last found to be undamaged."""

    def names(self, start: bytes) -> Iterator[bytes]:
        """Return the names from `start` on, `start` included, in byte order.

        Raise OSError if the directory cannot be read.
        """
        state = _state_of(self._directory)
        index = self._open(state) or self._build(state)
        if not index:
            yield from _names_in_scans(self._directory, start, self._run)
            return
        with index:
            size = os.fstat(index.fileno()).st_size
            index.seek(_bisect(index.fileno(), _HEADER_LENGTH, size, start))
            for line in index:
                name = line[:-1]
                if name >= start:
                    yield name

    def _open(self, state: tuple[int, int]) -> BinaryIO | None:
        """Open the stored index; return None unless it is undamaged and of this state."""
        with ExitStack() as on_failure, suppress(OSError):
            index = on_failure.enter_context(open(self._path, "rb", buffering=_BLOCK))
            status = os.fstat(index.fileno())
            opened = (status.st_ino, status.st_mtime_ns, status.st_size)
            if not index.read(_HEADER_LENGTH).startswith(_header_prefix(state)):
                return None
            if opened != self._verified and not _is_undamaged(index, state):
                return None
            self._verified = opened
            on_failure.pop_all()
            return index
        return None

    def _build(self, state: tuple[int, int]) -> BinaryIO | None:
        """Build a new index; return None if it cannot be written."""
        # A change within the same tick of the file system's clock as an earlier one does not show
        # in the modification time. The index is stored for others only if the last change was
        # long enough before the scan to differ from any later one.
        settled = _is_settled(self._directory)
        # A fault of the directory itself is raised by the scans that follow.
        with suppress(OSError), ExitStack() as on_failure:
            descriptor, path = staging.create(self._staging)
            on_failure.callback(_remove, path)
            index = open(descriptor, "w+b", buffering=_BLOCK)  # noqa: SIM115  # the caller closes
            on_failure.callback(index.close)
            _write(index, state, _sorted_lines(self._directory, self._staging, self._run))
            if settled and _state_of(self._directory) == state:
                os.replace(path, self._path)
            else:
                os.unlink(path)
            on_failure.pop_all()
            return index
        return None


def _state_of(directory: bytes) -> tuple[int, int]:
    status = os.stat(directory)
    return status.st_ino, status.st_mtime_ns


def _header_prefix(state: tuple[int, int]) -> bytes:
    """Return the part of the header that names the state of the directory."""
    return (_HEADER % (*state, 0, 0)).rpartition(b" ")[0].rpartition(b" ")[0] + b" "


def _write(index: BinaryIO, state: tuple[int, int], lines: Iterable[bytes]) -> None:
    index.write(bytes(_HEADER_LENGTH))
    length = checksum = 0
    for line in lines:
        index.write(line)
        length += len(line)
        checksum = zlib.crc32(line, checksum)
    index.seek(0)
    index.write(_HEADER % (*state, length, checksum))
    index.flush()


def _is_undamaged(index: BinaryIO, state: tuple[int, int]) -> bool:
    index.seek(_HEADER_LENGTH)
    length = checksum = 0
    while block := index.read(_BLOCK):
        length += len(block)
        checksum = zlib.crc32(block, checksum)
    index.seek(0)
    return index.read(_HEADER_LENGTH) == _HEADER % (*state, length, checksum)


def _remove(path: bytes) -> None:
    with suppress(OSError):  # on a disk that has become read-only, a later sweep removes it
        os.unlink(path)


def _is_settled(directory: bytes) -> bool:
    modified = os.stat(directory).st_mtime_ns
    tick = 2_000_000_000 if modified % 1_000_000_000 == 0 else 50_000_000
    return time.time_ns() - modified > tick


def _sorted_lines(directory: bytes, scratch: bytes, size: int) -> Iterator[bytes]:
    with ExitStack() as files:
        sorted_runs: list[Iterable[bytes]] = []
        for run in _runs(directory, size):
            run.sort()
            if len(run) < size and not sorted_runs:
                yield from (name + b"\n" for name in run)
                return
            file = files.enter_context(tempfile.TemporaryFile(dir=scratch, buffering=_BLOCK))
            file.writelines(name + b"\n" for name in run)
            file.seek(0)
            sorted_runs.append(file)
        # A name sorts before those that it is a prefix of; with the end of its line it might not.
        yield from heapq.merge(*sorted_runs, key=lambda line: line[:-1])


def _names_in_scans(directory: bytes, start: bytes, size: int) -> Iterator[bytes]:
    """Return the names from `start` on, `size` of them for each scan of the directory."""
    while True:
        smallest: list[bytes] = []
        for run in _runs(directory, size):
            smallest = sorted(chain(smallest, (name for name in run if name >= start)))[:size]
        yield from smallest
        if len(smallest) < size:
            return
        start = smallest[-1] + b"\0"  # the smallest name after the last one


def _runs(directory: bytes, size: int) -> Iterator[list[bytes]]:
    run: list[bytes] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            name = entry.name
            if name[0] != 0x2E and b"\n" not in name and entry.is_file(follow_symlinks=False):
                run.append(name)
                if len(run) == size:
                    yield run
                    run = []
    yield run


def _bisect(descriptor: int, low: int, high: int, wanted: bytes) -> int:
    """Return the offset of a line near the first one that is not less than `wanted`.

    That line is not after it. Every line that begins before `low` is less than `wanted`, and none
    is from `high` on.
    """
    while high - low > _BLOCK // 16:
        middle = (low + high) // 2
        piece = os.pread(descriptor, 2 * _MAX_LINE, middle)
        begin = piece.find(b"\n") + 1
        end = piece.find(b"\n", begin)
        if not begin or end < 0:
            return low  # these are not lines; reading on from `low` misses no name
        if piece[begin:end] < wanted:
            low = middle + begin
        else:
            high = middle
    return low
