"""ChangedNames: what has changed in a directory since the names in it were written to a file."""

import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from stat import S_ISREG

from fileservice.storage.local.directory_changes import DirectoryChanges
from fileservice.storage.local.name_file import DirectoryState
from fileservice.storage.local.name_scan import is_listed


class ChangedNames:
    """The names in `directory` that have changed since `changes` began, and whether they exist.

    `state` is one of the directory since then. One thread at a time may use this, but what `merged`
    returns may be iterated in any. Methods may raise OSError, and then changes may be lost.
    """

    def __init__(self, directory: bytes, changes: DirectoryChanges, state: DirectoryState) -> None:
        self._directory = directory
        self._changes = changes
        self._state = state
        self._exist: dict[bytes, bool] = {}
        self._sorted: list[bytes] = []
        """The keys of `_exist`, sorted."""

    @property
    def count(self) -> int:
        """The number of names."""
        return len(self._sorted)

    def update(self) -> bool:
        """Find what has changed; return False if that is not known, now and from then on."""
        names = self._changes.read()
        state = DirectoryState.of(self._directory)
        if names is None or not state.is_same_directory(self._state):
            return False
        if not names and state != self._state:
            # Whoever reads a directory waits for the change that is being made in it.
            _read_one_entry(self._directory)
            names = self._changes.read()
            if not names:
                return False  # it was changed in a way that has no events
        self._state = state
        for name in filter(is_listed, names):
            if name not in self._exist:
                insort(self._sorted, name)
            # What the event says may be over; what the directory says now is either still so when
            # the list is made, or there will be another event.
            self._exist[name] = self._exists(name)
        return True

    def clear(self) -> None:
        """Forget the changes that are known, since they have been written to a file."""
        self._exist, self._sorted = {}, []  # those who iterate over the old ones need them

    def merged(self, blocks: Iterable[list[bytes]], start: bytes = b"") -> Iterator[list[bytes]]:
        """Return what `blocks`, sorted names from `start` on, are after the changes."""
        changed = self._sorted[bisect_left(self._sorted, start) :]
        return _merged(blocks, changed, self._exist)

    def _exists(self, name: bytes) -> bool:
        try:
            status = os.stat(b"%s/%s" % (self._directory, name), follow_symlinks=False)
        except FileNotFoundError:
            return False
        return S_ISREG(status.st_mode)


def _merged(
    blocks: Iterable[list[bytes]], changed: list[bytes], exist: dict[bytes, bool]
) -> Iterator[list[bytes]]:
    position = 0
    for block in blocks:
        end = bisect_right(changed, block[-1], position)
        if end > position:
            both = sorted({*block, *changed[position:end]})
            yield [name for name in both if exist.get(name, True)]
            position = end
        else:
            yield block
    yield [name for name in changed[position:] if exist[name]]


def _read_one_entry(directory: bytes) -> None:
    with os.scandir(directory) as entries:
        next(entries, None)
