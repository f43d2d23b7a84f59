"""DamageMarks: which files do not have the bytes any more that they were stored with.

A mark is a small private file of the store, so that all processes and machines know it, and the
damaged file itself is not touched. It is of one file, not of a name: of its name, version and
modification time. So a file that was replaced, or deleted and stored again, has no mark.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator

from fileservice.integrity.errors import FileDamaged
from fileservice.names import BadName, FileName
from fileservice.storage import NotFound, PrivateFiles, StorageError, Store, StoredFile

_log = logging.getLogger(__name__)
_FOLDER = "damaged"


class DamageMarks:
    """The marks of one store. Every call may block, and may raise StorageUnavailable."""

    def __init__(
        self,
        private_files: PrivateFiles,
        *,
        max_age: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`require_intact` may be wrong for `max_age` seconds about marks that others make."""
        self._private_files = private_files
        self._max_age = max_age
        self._clock = clock
        self._marked: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    @classmethod
    def of_service(cls, store: Store) -> "DamageMarks":
        """Return marks that cost a service next to nothing: they are listed now and then."""
        return cls(store.private_files, max_age=30.0 if store.remote else 5.0)

    def require_intact(self, file: StoredFile) -> None:
        """Raise FileDamaged if the file has a mark."""
        now = self._clock()
        if now - self._read_at >= self._max_age:
            self._read(now)
        if self._marked and _key(file) in self._marked:
            raise FileDamaged(file.name)

    def _read(self, now: float) -> None:
        """List the marks; if that fails, those that were listed before count for now."""
        had_marks = self._read_at > float("-inf")
        if had_marks:
            self._read_at = now  # first, so that other requests do not list them meanwhile
        try:
            self._marked = frozenset(self._private_files.list(_FOLDER))
        except StorageError:
            if not had_marks:
                raise
            _log.warning("the marks of damaged files cannot be listed", exc_info=True)
        self._read_at = now

    def mark(self, file: StoredFile, reason: str) -> None:
        """Mark a file durably, whether it is marked already or not."""
        described = {"name": file.name, "version": file.version, "reason": reason}
        data = json.dumps(described).encode()
        self._private_files.update(f"{_FOLDER}/{_key(file)}", lambda _old: data)

    def remove(self, file: StoredFile) -> bool:
        """Remove the mark of a file; return whether it had one."""
        key = f"{_FOLDER}/{_key(file)}"
        is_marked = self._private_files.exists(key)
        if is_marked:
            self._private_files.remove(key)
        return is_marked

    def remove_of_missing(self, store: Store) -> None:
        """Remove the marks of files that are not there any more."""
        keys = [f"{_FOLDER}/{name}" for name in self._private_files.list(_FOLDER)]
        for key, data in self._private_files.read_all(keys):
            if not any(f"{_FOLDER}/{_key(file)}" == key for file in _files_named(store, data)):
                self._private_files.remove(key)


def _files_named(store: Store, data: bytes) -> Iterator[StoredFile]:
    """Yield the file that has the name in a mark now, if there is one."""
    try:
        yield store.stat(FileName.parse(json.loads(data)["name"]))
    except (NotFound, BadName, ValueError, KeyError, TypeError):
        return


def _key(file: StoredFile) -> str:
    identity = f"{file.name}\0{file.version}\0{file.modified_ns}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
