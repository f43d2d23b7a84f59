"""NameIndex: the sorted names of a directory, for pages that do not read the whole directory.

A directory returns its entries in no order, so each page of a sorted listing would cost a scan of
all of them. The index is a file of sorted names, which all processes share (see name_file), and
what has changed since, which each process keeps in memory (see changed_names). The kernel says what
has changed (see directory_changes). Once many names have changed, the file is written anew, so
memory does not grow. All of it is a cache of the directory that can be thrown away at any time.

If the kernel cannot say what changes, or not all of it, the directory is read when its modification
time has changed. If no file can be written (the file system is full, has no inodes left or is
read-only), the names are sorted in as many scans of the directory as their number requires. That
takes longer, but it needs neither space nor more memory.

docs/decisions/0027-an-index-that-is-kept-up-to-date.md says why no name can be missing.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain

from fileservice.storage.local import staging
from fileservice.storage.local.changed_names import ChangedNames
from fileservice.storage.local.directories import lock_directory
from fileservice.storage.local.directory_changes import DirectoryChanges
from fileservice.storage.local.name_file import DirectoryState, FileId, NameFile
from fileservice.storage.local.name_scan import names_in_scans, sorted_names
from fileservice.storage.local.thread_lock import ThreadLock

_RUN = 50_000
_MAX_CHANGED = 8_192

Watch = Callable[[bytes], DirectoryChanges | None]


class NameIndex:
    """The sorted names of the regular, visible files in `directory`.

    A change that was made before a call, by whomever, is seen by it. `path` is where the file of
    names is, in a directory of its own service. `run` is how many names are sorted in memory at a
    time, and `max_changed` how many that have changed are kept there.
    """

    def __init__(
        self,
        directory: bytes,
        path: bytes,
        staging_directory: bytes,
        *,
        run: int = _RUN,
        max_changed: int = _MAX_CHANGED,
        watch: Watch = DirectoryChanges.watch,
    ) -> None:
        self._directory = directory
        self._path = path
        self._staging = staging_directory
        self._run = run
        self._max_changed = max_changed
        self._watch = watch
        self._lock = ThreadLock()
        self._verified: FileId | None = None
        """The file of names that was last found to be undamaged."""
        self._changed: ChangedNames | None = None
        """What has changed since the file `_base` was written, or one that was since `_since`."""
        self._base: FileId | None = None
        self._since = 0

    def names(self, start: bytes) -> Iterator[bytes]:
        """Return the names from `start` on, `start` included, in byte order.

        A name may have gone since the call. Raise OSError if the directory cannot be read.
        """
        with self._lock:
            blocks = self._updated(start) or self._read(start)
        if blocks:
            yield from chain.from_iterable(blocks)
        else:
            yield from names_in_scans(self._directory, start, self._run)

    def _updated(self, start: bytes) -> Iterator[list[bytes]] | None:
        """Return the names by what has changed; return None if the directory must be read."""
        changed, self._changed = self._changed, None  # if this fails, changes may be lost
        if not changed or not changed.update():
            return None
        file = self._open_base()
        if file and changed.count > self._max_changed:
            file = self._rewrite(changed)
        if not file:
            return None
        self._changed = changed
        return changed.merged(file.blocks(start), start)

    def _open(self) -> NameFile | None:
        """Open the file of names; return None if there is none or it is damaged."""
        with suppress(OSError):
            file = NameFile.open(self._path)
            if file.id == self._verified or file.is_undamaged():
                self._verified = file.id
                return file
        return None

    def _open_base(self) -> NameFile | None:
        """Open the file of names if no change is missing but those that are known."""
        file = self._open()
        if file and (file.id == self._base or file.has_changes_until(self._since)):
            return file
        return None

    def _rewrite(self, changed: ChangedNames) -> NameFile | None:
        """Write all names to a new file; return None if that is not possible."""
        with suppress(OSError), lock_directory(os.path.dirname(self._path)):
            begun = time.monotonic_ns()
            if changed.update() and (file := self._open_base()):
                file, path = NameFile.write(
                    self._staging, changed.merged(file.blocks()), begun=begun
                )
                os.replace(path, self._path)
                self._base, self._since, self._verified = file.id, begun, file.id
                changed.clear()
                return file
        return None

    def _read(self, start: bytes) -> Iterator[list[bytes]] | None:
        """Return the names in the directory; return None if no file of them can be written."""
        before = DirectoryState.of(self._directory)
        changes = self._watch(self._directory)  # changes from here on are known
        since = time.monotonic_ns()
        state = DirectoryState.of(self._directory)
        if not before.is_same_directory(state):
            changes = None  # it is not known which of them is watched
        file = self._open()
        if not file or not file.is_of(state):
            file = self._write(state, since if changes else None)
        if not file:
            return None
        if changes:
            self._changed = ChangedNames(self._directory, changes, state)
            self._base, self._since = file.id, since
        return file.blocks(start)

    def _write(self, state: DirectoryState, since: int | None) -> NameFile | None:
        """Read the directory and write its names to a file; return None if that is not possible.

        Unless `since` is None, another process may have done so since then.
        """
        # A fault of the directory itself is raised by the scans that follow.
        with suppress(OSError), lock_directory(os.path.dirname(self._path)):
            if since is not None:
                file = self._open()  # it may be that of another process that had the lock
                if file and file.has_changes_until(since):
                    return file
            begun = time.monotonic_ns()
            # A change within the same tick of the file system's clock as an earlier one does not
            # show in the modification time. The file is for those who compare that only if the
            # last change was long enough before the scan to differ from any later one.
            settled = _is_settled(state)
            file, path = NameFile.write(
                self._staging,
                sorted_names(self._directory, self._staging, self._run),
                begun=begun,
                state=lambda: state if settled and self._is_in(state) else None,
            )
            if since is not None or file.is_of(state):
                os.replace(path, self._path)
                self._verified = file.id
            else:
                staging.remove(path)
            return file
        return None

    def _is_in(self, state: DirectoryState) -> bool:
        return DirectoryState.of(self._directory) == state


def _is_settled(state: DirectoryState) -> bool:
    tick = 2_000_000_000 if state.modified_ns % 1_000_000_000 == 0 else 50_000_000
    return time.time_ns() - state.modified_ns > tick
