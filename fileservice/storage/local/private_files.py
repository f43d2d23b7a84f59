"""Small files of the service itself, which only its user may read."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from fileservice.executor import NewLock
from fileservice.storage.local import staging
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.group_commit import GroupCommit
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.permissions import PRIVATE, make_directory
from fileservice.storage.local.private_lock import LocalPrivateLock

_ADD_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class LocalPrivateFiles:
    """Files in the directory `.fileservice` of a store; see `interface.PrivateFiles`."""

    def __init__(self, layout: Layout, new_lock: NewLock) -> None:
        self._layout = layout
        self._new_lock = new_lock
        self._commits: dict[bytes, GroupCommit] = {}
        """What syncs the names in a folder, for the folders that files were added to."""

    def read(self, key: str) -> bytes | None:
        with translate_errors(self._layout.root):
            return self._read(self._layout.private(key))

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for key in keys:
            content = self.read(key)
            if content is not None:
                yield key, content

    def create(self, key: str, data: bytes) -> bytes:
        path = self._layout.private(key)
        with translate_errors(self._layout.root):
            existing = self._read(path)
            if existing is not None:
                return existing
            self._layout.identity.require()
            self._create(path, data)
            created = self._read(path)
        return data if created is None else created  # another process may have removed it

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        path = self._layout.private(key)
        with translate_errors(self._layout.root):
            self._layout.identity.require()
            while not self._try_update(path, change):
                pass  # another process has created the file

    def add(self, key: str, data: bytes) -> None:
        path = self._layout.private(key)
        with translate_errors(path):
            try:
                descriptor = os.open(path, _ADD_FLAGS, PRIVATE)
            except FileNotFoundError:
                self._layout.identity.require()
                self._make_folder(os.path.dirname(path))
                descriptor = os.open(path, _ADD_FLAGS, PRIVATE)
            try:
                os.write(descriptor, data)
                if self._layout.fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if self._layout.fsync:
                self._commit_of(os.path.dirname(path)).wait()

    def rename(self, key: str, new_key: str, data: bytes | None = None) -> bool:  # noqa: ARG002
        with translate_errors(self._layout.root):
            try:
                os.rename(self._layout.private(key), self._layout.private(new_key))
            except FileNotFoundError:
                self._layout.identity.check()
                return False
            return True

    def try_lock(self, key: str) -> LocalPrivateLock | None:
        path = self._layout.private(key)
        with translate_errors(path):
            self._layout.identity.require()
            make_directory(os.path.dirname(path))
            return LocalPrivateLock.take(path)

    def exists(self, key: str, *, max_age: float = 0.0) -> bool:  # noqa: ARG002
        path = self._layout.private(key)
        with translate_errors(self._layout.root):
            if os.path.lexists(path):
                return True
            self._layout.identity.check()  # the whole store may be missing, which is a fault
            return False

    def list(self, folder: str) -> list[str]:
        with translate_errors(self._layout.root):
            try:
                return [os.fsdecode(name) for name in os.listdir(self._layout.private(folder))]
            except FileNotFoundError:
                self._layout.identity.check()
                return []

    def remove(self, key: str) -> None:
        path = self._layout.private(key)
        with translate_errors(self._layout.root), _locked(path) as current:
            if current is not None:
                os.unlink(path)

    def _commit_of(self, folder: bytes) -> GroupCommit:
        commit = self._commits.get(folder)
        if commit is None:
            commit = GroupCommit(partial(sync_directory, folder), self._new_lock)
            commit = self._commits.setdefault(folder, commit)  # another thread may be faster
        return commit

    def _make_folder(self, folder: bytes) -> None:
        make_directory(folder)
        if self._layout.fsync:
            sync_directory(os.path.dirname(folder))

    def _read(self, path: bytes) -> bytes | None:
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except FileNotFoundError:
            self._layout.identity.check()
            return None

    def _try_update(self, path: bytes, change: Callable[[bytes | None], bytes | None]) -> bool:
        """Replace the content; return False if there was no file, and there is one now.

        Each change waits for the lock (flock) of the file that it replaces.
        """
        with _locked(path) as current:
            data = change(None if current is None else _read_all(current))
            if data is None:
                return True
            try:
                self._write(path, data, os.link if current is None else os.rename)
            except FileExistsError:
                return False
        return True

    def _create(self, path: bytes, data: bytes) -> None:
        """Create the file durably. If several processes do so at once, one of them succeeds."""
        with suppress(FileExistsError):
            self._write(path, data, os.link)

    def _write(self, path: bytes, data: bytes, move: Callable[[bytes, bytes], None]) -> None:
        """Write a file durably and give it the path, by os.link or os.rename.

        Raise FileExistsError if os.link finds a file there.
        """
        directory = os.path.dirname(path)
        make_directory(directory)
        descriptor, staged = staging.create(self._layout.staging)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(descriptor)
            move(staged, path)
            sync_directory(directory)
            sync_directory(os.path.dirname(directory))
        finally:
            with suppress(OSError):  # it was moved, or a sweep removes it
                os.unlink(staged)
            os.close(descriptor)


@contextmanager
def _locked(path: bytes) -> Iterator[int | None]:
    """Open and lock the file at a path; give None if there is none."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(path, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_at(path: bytes, descriptor: int) -> bool:
    """Return whether the opened file still has this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()
