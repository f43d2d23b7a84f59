"""The sorted names of a directory, read in full, in memory that does not grow with their number."""

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice

_BLOCK = 64 * 1024


def is_listed(name: bytes) -> bool:
    """Return whether a name may be in the list, whatever it belongs to."""
    return name[:1] != b"." and b"\n" not in name


def sorted_names(directory: bytes, scratch: bytes, run: int) -> Iterator[list[bytes]]:
    """Return the names of the regular, visible files in byte order, in blocks of up to `run`.

    If there are more than `run` of them, they are kept in temporary files in the directory
    `scratch` meanwhile. Raise OSError.
    """
    with ExitStack() as files:
        sorted_runs: list[Iterable[bytes]] = []
        for names in _runs(directory, run):
            names.sort()
            if len(names) < run and not sorted_runs:
                yield names
                return
            file = files.enter_context(tempfile.TemporaryFile(dir=scratch, buffering=_BLOCK))
            file.writelines(name + b"\n" for name in names)
            file.seek(0)
            sorted_runs.append(line[:-1] for line in file)
        merged = heapq.merge(*sorted_runs)
        while block := list(islice(merged, run)):
            yield block


def names_in_scans(directory: bytes, start: bytes, run: int) -> Iterator[bytes]:
    """Return the names from `start` on, with one scan of the directory for each `run` of them.

    This needs no space on a disk. Raise OSError.
    """
    while True:
        smallest: list[bytes] = []
        for names in _runs(directory, run):
            smallest = sorted(chain(smallest, (name for name in names if name >= start)))[:run]
        yield from smallest
        if len(smallest) < run:
            return
        start = smallest[-1] + b"\0"  # the smallest name after the last one


def _runs(directory: bytes, size: int) -> Iterator[list[bytes]]:
    run: list[bytes] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if is_listed(entry.name) and entry.is_file(follow_symlinks=False):
                run.append(entry.name)
                if len(run) == size:
                    yield run
                    run = []
    yield run
