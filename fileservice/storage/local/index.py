"""NameIndex: the names in a directory, sorted, for pages that do not read the whole directory.

A directory gives its entries in no order, so each page of a sorted listing would cost a pass over
all of them. The index keeps the sorted names in a file, one a line, and finds its way in it by
bisection, so that neither time nor memory grows with the number of files once it is made. It is a
cache: it is made anew when the directory's time of modification says that names came or went, and
all processes share it.
"""

import heapq
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

from fileservice.storage.local import staging

_BLOCK = 64 * 1024
_RUN = 50_000
"""Names that are sorted in memory at a time."""
_LONGEST_LINE = 256


class NameIndex:
    """The sorted names of the regular, visible files in `directory`."""

    def __init__(self, directory: bytes, path: bytes, staging_directory: bytes) -> None:
        self._directory = directory
        self._path = path
        self._staging = staging_directory

    def names(self, start: bytes) -> Iterator[bytes]:
        """All names from `start` on, `start` itself included, in byte order."""
        with self._snapshot() as snapshot:
            header = len(snapshot.readline())
            size = os.fstat(snapshot.fileno()).st_size
            snapshot.seek(_first_line_from(snapshot.fileno(), header, size, start))
            for line in snapshot:
                name = line[:-1]
                if name >= start:
                    yield name

    def _snapshot(self) -> BinaryIO:
        state = _state(self._directory)
        try:
            snapshot = open(self._path, "rb", buffering=_BLOCK)  # noqa: SIM115  # the caller closes
        except FileNotFoundError:
            return self._make(state)
        if snapshot.readline() == state:
            snapshot.seek(0)
            return snapshot
        snapshot.close()
        return self._make(state)

    def _make(self, state: bytes) -> BinaryIO:
        # A change in the same tick of the file system's clock as an earlier one leaves no trace in
        # the time of modification. An index is kept for others only when the last change was long
        # enough before the scan to be told from any later one.
        settled = _settled(self._directory)
        descriptor, path = staging.create(self._staging)
        with ExitStack() as on_failure:
            on_failure.callback(os.unlink, path)
            index = open(descriptor, "w+b", buffering=_BLOCK)  # noqa: SIM115  # the caller closes
            on_failure.callback(index.close)
            index.write(state)
            index.writelines(_sorted_lines(self._directory, self._staging))
            index.flush()
            index.seek(0)
            if settled and _state(self._directory) == state:
                os.replace(path, self._path)
            else:
                os.unlink(path)
            on_failure.pop_all()
        return index


def _state(directory: bytes) -> bytes:
    status = os.stat(directory)
    return b"%d %d\n" % (status.st_ino, status.st_mtime_ns)


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
        begin = piece.index(b"\n") + 1
        end = piece.index(b"\n", begin)
        if piece[begin:end] < wanted:
            low = middle + begin
        else:
            high = middle
    return low
