"""Verification: reads the files of a store again, and marks those that have rotted.

How far it has come is kept in the store, so that it can be ended at any time, and goes on there. At
most some seconds of reading are repeated.
"""

import errno
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fileservice.integrity.marks import DamageMarks
from fileservice.integrity.reading import ReadThrottle, digest_of
from fileservice.names import FileName
from fileservice.storage import NotFound, StorageUnavailable, Store, StoredFile

_ERRORS_OF_DISKS = (errno.EIO, errno.EBADMSG, errno.EUCLEAN)
"""What the kernel says of bytes that a disk cannot read, or whose checksum is wrong."""
_PROGRESS = "verification"
_SAVE_SECONDS = 5.0
_ATTEMPTS = 3


class FileState(StrEnum):
    """What was found out about a file."""

    INTACT = "intact"
    RESTORED = "restored"
    """It was marked, and is intact now."""
    DAMAGED = "damaged"
    UNKNOWN = "unknown"
    """It has no digest to compare with: another program has put it there, or DIGEST is none."""
    MISSING = "missing"
    """It was deleted, or replaced several times, while it was verified."""


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """The result for one file."""

    name: FileName
    state: FileState
    size: int = 0
    """Bytes that were read."""
    reason: str = ""
    """How it is damaged."""


def verify_file(
    store: Store, marks: DamageMarks, name: FileName, rate: ReadThrottle
) -> VerifiedFile:
    """Compare a file with its digest, and mark it or remove its mark. Raise StorageError."""
    for _ in range(_ATTEMPTS):
        try:
            verified, file = _compare(store, name, rate)
            if verified.state is FileState.DAMAGED and store.stat(name) != file:
                continue  # it was replaced or written to while it was read
        except NotFound:
            break
        if verified.state is FileState.DAMAGED:
            marks.mark(file, verified.reason)
        elif verified.state is FileState.INTACT and marks.remove(file):
            return VerifiedFile(name, FileState.RESTORED, verified.size)
        return verified
    return VerifiedFile(name, FileState.MISSING)


def _compare(store: Store, name: FileName, rate: ReadThrottle) -> tuple[VerifiedFile, StoredFile]:
    opened = store.open(name, sequential=True)
    with opened.body:
        file, expected = opened.file, opened.file.content.sha256
        if expected is None:
            return VerifiedFile(name, FileState.UNKNOWN), file
        try:
            found = digest_of(opened, rate)
        except OSError as error:
            if error.errno not in _ERRORS_OF_DISKS:
                raise StorageUnavailable(f"{name} cannot be read: {error.strerror}") from error
            reason = f"it cannot be read: {os.strerror(error.errno or 0)}"
            return VerifiedFile(name, FileState.DAMAGED, file.size, reason), file
        if found == expected:
            return VerifiedFile(name, FileState.INTACT, file.size), file
        reason = f"the SHA-256 is {found.hex()}, and was {expected.hex()}"
        return VerifiedFile(name, FileState.DAMAGED, file.size, reason), file


class Verification:
    """Goes through all files of a store in the order of their names."""

    def __init__(
        self,
        store: Store,
        rate: ReadThrottle,
        *,
        restart: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on where an earlier verification ended, unless `restart`. Raise StorageError."""
        self._store = store
        self._marks = DamageMarks(store.private_files)
        self._rate = rate
        self._clock = clock
        self.after = ""
        """The last name that has been verified; empty at the beginning."""
        self.counts = Counter[str]()
        """How many files were found in which state, with those of the interrupted verification."""
        self.size = 0
        """Bytes that were read for all of them."""
        if not restart:
            self._load()

    def verified_files(self) -> Iterator[VerifiedFile]:
        """Verify the files that are left, and yield what is found. Raise StorageError."""
        saved_at = self._clock()
        for listed in self._store.list(self.after, brief=True):
            verified = verify_file(self._store, self._marks, listed.name, self._rate)
            self.after = listed.name
            self.counts[verified.state] += 1
            self.size += verified.size
            yield verified
            if self._clock() - saved_at >= _SAVE_SECONDS:
                self._save()
                saved_at = self._clock()
        self._marks.remove_of_missing(self._store)
        self._store.private_files.remove(_PROGRESS)

    def _save(self) -> None:
        state = {"after": self.after, "counts": self.counts, "size": self.size}
        data = json.dumps(state).encode()
        self._store.private_files.update(_PROGRESS, lambda _old: data)

    def _load(self) -> None:
        data = self._store.private_files.read(_PROGRESS)
        try:
            state = json.loads(data or b"{}")
            counts = {FileState(key): int(count) for key, count in state["counts"].items()}
            self.after, self.size = str(state["after"]), int(state["size"])
            self.counts.update(counts)
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # there is none, or it is of another version
