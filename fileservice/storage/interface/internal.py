"""What the service keeps in the store for itself, and clients can neither list nor fetch."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from fileservice.storage.files import OwnedFile


class PrivateLock(Protocol):
    """A lock that one process has; threads may share it."""

    def keep(self) -> bool:
        """Return whether the lock is still held, and see that it is for some seconds more.

        A store on a network may let a process that was suspended lose its lock.
        """

    def release(self) -> None:
        """Let another process have the lock. Raises nothing."""


class PrivateFiles(Protocol):
    """Small files of the service itself, such as a key. Clients can neither list nor fetch them.

    Its key is a name, or a folder, a slash and a name, all of letters, digits and hyphens. In a
    directory, only the user of the service may read it.
    """

    def read(self, key: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Return the keys and contents of those of these files that exist, in no order.

        Over a network this takes less time than reading one after the other.
        """

    def create(self, key: str, data: bytes) -> bytes:
        """Create a file durably unless it exists, and return what is in it now.

        If any number of processes create a file, all of them return the same bytes. Raise
        StorageFull.
        """

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file by what `change` makes of it, in one atomic and durable step.

        `change` is given None if there is no file. It returns None to change nothing, and may be
        called several times; what it raises passes through. A process that dies leaves the old
        file or the new one. Raise StorageFull, Busy if there are too many updates of one file.
        """

    def add(self, key: str, data: bytes) -> None:
        """Write a file durably. No other process may write a file of this key at the same time.

        It takes fewer syncs than `create`: concurrent calls share one of them. A process that dies
        may leave a part of the file. Raise StorageFull.
        """

    def rename(self, key: str, new_key: str, data: bytes | None = None) -> bool:
        """Give a file another key in the same folder; return False if there is no such file.

        It is one atomic step in a directory, but it need not be durable: a power failure may undo
        it. In a bucket, a process that dies may leave both. `data` is a hint: what is in the file.
        """

    def try_lock(self, key: str) -> PrivateLock | None:
        """Take the lock of this key, or return None if another process has it.

        The lock of a process that dies is released, at once or after some time.
        """

    def exists(self, key: str, *, max_age: float = 0.0) -> bool:
        """Return whether a file exists.

        `max_age` is a hint: the answer may be what was true so many seconds ago, if it is about a
        file that another process creates or removes.
        """

    def list(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, in no order."""

    def remove(self, key: str) -> None:
        """Remove a file, whether it exists or not."""


class UsageRecords(Protocol):
    """A small record for each owner of files, which many processes change at the same time.

    A record is opaque to the store, and is only worth what it costs to count the files again. So
    it need not survive a power failure, and one that may be out of date or is damaged is missing.
    """

    def update(self, owner: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the record of an owner by what `change` makes of it, in one atomic step.

        `change` is given None if there is no record. It returns None to change nothing, and may be
        called several times; what it raises passes through. Updates of other owners are not waited
        for. Raise StorageFull, Busy if there are too many updates of one owner.
        """

    def read(self, owner: str) -> bytes | None:
        """Return the record of an owner, or None if there is none."""

    def records(self) -> Iterator[bytes]:
        """Return all records, in no order."""

    def remove(self, owner: str) -> None:
        """Remove the record of an owner, whether there is one or not."""

    def owned_files(self, prefix: str = "") -> Iterator[OwnedFile]:
        """Return the published files that have an owner, in no order, with those that have expired.

        Their names begin with `prefix`. A file that exists throughout is returned exactly once. In
        a bucket this costs a request for each object whose key begins so.
        """
