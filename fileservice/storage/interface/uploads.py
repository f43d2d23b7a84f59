"""Resumable uploads and their locks.

docs/decisions/0013-locks-of-uploads.md says why the writer of an upload is its lock.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from fileservice.storage.files import StoredUpload, UnfinishedUpload
from fileservice.storage.interface.writers import ResumableWriter


class Uploads(Protocol):
    """Resumable uploads, which survive connections and processes: bytes and a record for each.

    A record is opaque to the store. Every change is one atomic and durable step.
    """

    def create(self, record: bytes, length: int | None, *, min_free: int = 0) -> str:
        """Create an upload, reserve space for `length` bytes, and return its id.

        The id has 32 hexadecimal digits. Raise StorageFull if there is not enough space, or if
        fewer than `min_free` bytes would stay free.
        """

    def create_ended(self, record: bytes) -> str:
        """Store the record of an upload that ended at its creation, and return its id.

        Equal records have the same id and are stored once. Raise StorageFull.
        """

    def read(self, upload: str, is_wanted: Callable[[bytes], bool] | None = None) -> StoredUpload:
        """Return the record and the number of bytes that survive a power failure.

        Raise NoSuchUpload, also if `is_wanted` returns False for the record; then the bytes are not
        looked at, which would take longer than if there were no such upload.
        """

    def read_record(self, upload: str) -> bytes:
        """Return the record alone. Raise NoSuchUpload."""

    def bytes_written(self, upload: str) -> int:
        """Return how many bytes have been written so far, durably or not. Raise NoSuchUpload."""

    def list_ids(self) -> Iterator[str]:
        """Return the ids of all uploads, in no order."""

    def list_unfinished(self) -> Iterator[UnfinishedUpload]:
        """Return the uploads that may not have ended, in no order, for the cost of one listing."""

    def remove(self, upload: str) -> None:
        """Remove the record and the bytes. The caller holds the lock or found it expired."""

    def remove_unreadable(self, upload: str, min_idle: float) -> None:
        """Remove what is left of an upload without a usable record.

        Do nothing if any part of it was modified in the last `min_idle` seconds.
        """


class Locker(Protocol):
    """The locks of resumable uploads, over all processes that share the store."""

    def lock(self, upload: str) -> ResumableWriter:
        """Lock the upload without waiting. Raise NoSuchUpload, or Locked if another has the lock.

        The lock of a process that dies is released, at once or after some seconds.
        """

    def request_release(self, upload: str) -> None:
        """Ask the process that holds the lock to release it; the request lapses in 10 seconds."""

    def release_requests(self) -> list[str]:
        """Return the uploads whose locks have been asked for."""

    def cancel_release_request(self, upload: str) -> None:
        """Withdraw what `request_release` asked for."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Enter a section that only one process of this machine at a time can be in.

        A store that several machines share excludes nobody.
        """
