"""NameIndex: the names in a directory, sorted, for pages that do not read the whole directory.

A directory gives its entries in no order, so each page of a sorted listing would cost a pass over
all of them. The index keeps the sorted names in a file, one a line, and finds its way in it by
bisection, so that neither time nor memory grows with the number of files once it is made. It is a
cache: it is made anew when the directory's time of modification says that names came or went, and
all processes share it.

The file begins with a header of fixed length, which has a checksum of the rest. The file is not
synced, so a power cut may leave it short or full of zeros: a process verifies the checksum when it
first meets a file, and makes a file that is damaged anew.

Where no index can be written (the file system is full, has no inodes left or is read-only), the
names are sorted in as many passes over the directory as their number needs: that takes longer, but
it needs neither room nor more memory.
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
"""Names that are sorted in memory at a time."""
_LONGEST_LINE = 256
_HEADER = b"fileservice-names %020d %020d %020d %08x\n"
"""The inode and the time of modification (ns) of the directory, the length (bytes) of the lines
that follow, and their CRC-32."""
_HEADER_LENGTH = len(_HEADER % (0, 0, 0, 0))


class NameIndex:
    """The sorted names of the regular, visible files in `directory`."""

    def __init__(self, directory: bytes, path: bytes, staging_directory: bytes) -> None:
        self._directory = directory
        self._path = path
        self._staging = staging_directory
        self._verified: tuple[int, int, int] | None = None
        """Inode, time of modification and size of the index file last found to be undamaged."""

    def names(self, start: bytes) -> Iterator[bytes]:
        """All names from `start` on, `start` itself included, in byte order.

        Raises OSError where the directory cannot be read.
        """
        state = _state(self._directory)
        index = self._open(state) or self._make(state)
        if not index:
            yield from _names_in_passes(self._directory, start)
            return
        with index:
            size = os.fstat(index.fileno()).st_size
            index.seek(_first_line_from(index.fileno(), _HEADER_LENGTH, size, start))
            for line in index:
                name = line[:-1]
                if name >= start:
                    yield name

    def _open(self, state: tuple[int, int]) -> BinaryIO | None:
        """The stored index; None where there is none of this state that is undamaged."""
        with ExitStack() as on_failure, suppress(OSError):
            index = on_failure.enter_context(open(self._path, "rb", buffering=_BLOCK))
            status = os.fstat(index.fileno())
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if not index.read(_HEADER_LENGTH).startswith(_header_of(state)):
                return None
            if seen != self._verified and not _undamaged(index, state):
                return None
            self._verified = seen
            on_failure.pop_all()
            return index
        return None

    def _make(self, state: tuple[int, int]) -> BinaryIO | None:
        """A new index; None where it cannot be written."""
        # A change in the same tick of the file system's clock as an earlier one leaves no trace in
        # the time of modification. An index is kept for others only when the last change was long
        # enough before the scan to be told from any later one.
        settled = _settled(self._directory)
        # Whatever is wrong with the directory itself shows again in the passes that follow.
        with suppress(OSError), ExitStack() as on_failure:
            descriptor, path = staging.create(self._staging)
            on_failure.callback(_remove, path)
            index = open(descriptor, "w+b", buffering=_BLOCK)  # noqa: SIM115  # the caller closes
            on_failure.callback(index.close)
            _write(index, state, _sorted_lines(self._directory, self._staging))
            if settled and _state(self._directory) == state:
                os.replace(path, self._path)
            else:
                os.unlink(path)
            on_failure.pop_all()
            return index
        return None


def _state(directory: bytes) -> tuple[int, int]:
    status = os.stat(directory)
    return status.st_ino, status.st_mtime_ns


def _header_of(state: tuple[int, int]) -> bytes:
    """The part of the header that says of which state of the directory the index is."""
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


def _undamaged(index: BinaryIO, state: tuple[int, int]) -> bool:
    index.seek(_HEADER_LENGTH)
    length = checksum = 0
    while block := index.read(_BLOCK):
        length += len(block)
        checksum = zlib.crc32(block, checksum)
    index.seek(0)
    return index.read(_HEADER_LENGTH) == _HEADER % (*state, length, checksum)


def _remove(path: bytes) -> None:
    with suppress(OSError):  # on a disk that has become read-only a sweep does it later
        os.unlink(path)


def _settled(directory: bytes) -> bool:
    modified = os.stat(directory).st_mtime_ns
    tick = 2_000_000_000 if modified % 1_000_000_000 == 0 else 50_000_000
    return time.time_ns() - modified > tick


def _sorted_lines(directory: bytes, scratch: bytes) -> Iterator[bytes]:
    with ExitStack() as runs:
        sorted_runs: list[Iterable[bytes]] = []
        for run in _runs(directory):
            run.sort()
            if len(run) < _RUN and not sorted_runs:
                yield from (name + b"\n" for name in run)
                return
            file = runs.enter_context(tempfile.TemporaryFile(dir=scratch, buffering=_BLOCK))
            file.writelines(name + b"\n" for name in run)
            file.seek(0)
            sorted_runs.append(file)
        # A name sorts before those it is a prefix of; with its line's end it would not always.
        yield from heapq.merge(*sorted_runs, key=lambda line: line[:-1])


def _names_in_passes(directory: bytes, start: bytes) -> Iterator[bytes]:
    """All names from `start` on, a run in each pass over the directory."""
    while True:
        smallest: list[bytes] = []
        for run in _runs(directory):
            smallest = sorted(chain(smallest, (name for name in run if name >= start)))[:_RUN]
        yield from smallest
        if len(smallest) < _RUN:
            return
        start = smallest[-1] + b"\0"  # the least name past the last one


def _runs(directory: bytes) -> Iterator[list[bytes]]:
    run: list[bytes] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            name = entry.name
            if name[0] != 0x2E and b"\n" not in name and entry.is_file(follow_symlinks=False):
                run.append(name)
                if len(run) == _RUN:
                    yield run
                    run = []
    yield run


def _first_line_from(descriptor: int, low: int, high: int, wanted: bytes) -> int:
    """The offset of a line near and not after the first one that is at or past `wanted`.

    Every line that begins before `low` is below `wanted`; every one from `high` on is not.
    """
    while high - low > _BLOCK // 16:
        middle = (low + high) // 2
        piece = os.pread(descriptor, 2 * _LONGEST_LINE, middle)
        begin = piece.find(b"\n") + 1
        end = piece.find(b"\n", begin)
        if not begin or end < 0:
            return low  # these are no lines: whoever reads on from there misses no name
        if piece[begin:end] < wanted:
            low = middle + begin
        else:
            high = middle
    return low
