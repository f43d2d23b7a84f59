"""The interface of a store; every store passes the suite in tests/storage/store_contract.py.

A store has five parts. `Store` holds published files, which are immutable. `Uploads` holds the
bytes and records of resumable uploads. `Locker` decides who may change one of those uploads. (See
docs/decisions/0013-locks-of-uploads.md for why the writer of an upload is its lock.) `PrivateFiles`
holds what the service keeps for itself, and `UsageRecords` what is counted of the files of each
owner.

Some parameters are hints. A store may ignore a hint, and a caller may not rely on its effect. The
docstrings call each of them one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from fileservice.names import FileName
from fileservice.storage.files import (
    Content,
    Opened,
    OwnedFile,
    Owner,
    StoredFile,
    StoredUpload,
    UnfinishedUpload,
)


class StagedFile(Protocol):
    """Bytes that are stored but not published, so that they can be inspected before they are."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    def read_at(self, count: int, offset: int) -> bytes:
        """Return `count` bytes from `offset` on, or fewer if the file ends before."""

    def descriptor(self) -> AbstractContextManager[int]:
        """Return a file descriptor from which the bytes can be read at any offset.

        A store that keeps the bytes elsewhere copies a file of up to some tens of MiB. Of a larger
        one it copies the beginning and the end to their offsets and leaves zeros between.
        """


class Writer(StagedFile, Protocol):
    """A file that is being received and is invisible until `publish`; it must be closed."""

    def write(self, block: bytes | memoryview) -> None:
        """Append all of `block`. Raise StorageFull or StorageUnavailable."""

    def publish(self, name: FileName, content: Content, owner: Owner | None = None) -> StoredFile:
        """Make the complete file visible as `name`, durably and in one atomic step.

        The content and the owner are kept with it.

        If any number of writers in any processes publish the same name, one succeeds. The others
        raise NameTaken and change nothing. A writer raises NameReserved if it could not be decided
        in time which of them succeeds; its bytes can be published later.
        """

    def close(self) -> None:
        """Release everything the writer holds, and remove bytes not published. Raise nothing."""


class ResumableWriter(Writer, Protocol):
    """The lock of a resumable upload, and the only way to change its bytes and its record.

    Closing it releases the lock. What was written stays until the upload is removed. A store on a
    network may let a process that was suspended lose its lock; then every method that changes what
    others see raises Locked.
    """

    def truncate(self, size: int) -> None:
        """Durably drop all bytes after the first `size`."""

    def sync(self) -> None:
        """Return when everything that was written will survive a power failure.

        If this raises, the bytes written since it last returned may be lost.
        """

    def update(self, record: bytes, length: int | None = None) -> None:
        """Replace the record, and reserve space for `length` bytes if that is known now.

        Raise StorageFull, or Locked.
        """

    def end(self, record: bytes) -> None:
        """Replace the record and remove the bytes. Raise Locked."""


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

    def read(self, upload: str) -> StoredUpload:
        """Return the record and the number of bytes that survive a power failure.

        Raise NoSuchUpload.
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


class PrivateFiles(Protocol):
    """Small files of the service itself, such as a key. Clients can neither list nor fetch them.

    A file never changes. Its key is a name, or a folder, a slash and a name, all of letters, digits
    and hyphens. In a directory, only the user of the service may read it.
    """

    def read(self, key: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""

    def create(self, key: str, data: bytes) -> bytes:
        """Create a file durably unless it exists, and return what is in it now.

        If any number of processes create a file, all of them return the same bytes. Raise
        StorageFull.
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

    def owned_files(self) -> Iterator[OwnedFile]:
        """Return the published files that have an owner, in no order.

        A file that exists throughout is returned exactly once. In a bucket this costs a request for
        each object.
        """


class Store(Protocol):
    """A flat set of immutable files. Every call may block, and may raise StorageUnavailable."""

    @property
    def uploads(self) -> Uploads:
        """The resumable uploads."""

    @property
    def locker(self) -> Locker:
        """The locks of the resumable uploads."""

    @property
    def private_files(self) -> PrivateFiles:
        """What the service keeps for itself."""

    @property
    def usage(self) -> UsageRecords:
        """What is counted of the files of each owner."""

    @property
    def remote(self) -> bool:
        """Hint: whether calls wait for a network, as an event loop can, and not for a disk."""

    def check(self) -> None:
        """Raise the reason why no file can be stored now: StorageUnavailable, StorageFull, Busy."""

    def writer(self, length: int | None = None, *, stream_to: FileName | None = None) -> Writer:
        """Begin a file of exactly `length` bytes, or of unknown length.

        No space is reserved for it (see `reserve_space`). `stream_to` is a hint: the name that the
        file will have, given if its bytes need not be read back once there are more than 8 MiB of
        them. Files whose processes died are removed by `sweep`.
        """

    def open(self, name: FileName, *, sequential: bool = False) -> Opened:
        """Open a file, so that description and bytes belong to the same file. Raise NotFound.

        `sequential` is a hint: the body will be read from its beginning to its end.
        """

    def presigned_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:
        """Return a URL where a client without credentials can fetch this file for some minutes.

        `fields` are the Content-Type and the Content-Disposition of the response. Return None if
        the store has no such URLs.
        """

    def stat(self, name: FileName) -> StoredFile:
        """Describe a file. Raise NotFound."""

    def sync_names(self) -> None:
        """Return when every file that is visible now will survive a power failure."""

    def is_taken(self, name: FileName) -> bool:
        """Return whether publishing under this name would raise NameTaken now.

        Raise NameReserved if that is being decided.
        """

    def delete(self, name: FileName, version: str | None = None) -> StoredFile:
        """Remove a file durably, and describe it as it was.

        Raise NotFound, also if it does not have the given `version`.
        """

    def list(
        self,
        after: str = "",
        prefix: str = "",
        contains: str = "",
        *,
        expected: int | None = None,
        brief: bool = False,
    ) -> Iterator[StoredFile]:
        """Return the files in code point order of their names, beginning after `after`.

        `contains` ignores case. Digests and owners are unknown if each would cost a request. With
        `brief`, only name, size and modification time are filled in; `describe` adds the rest.
        `expected` is a hint: how many files the caller is likely to take.

        The result is a cursor and not a snapshot: a file that exists throughout is returned exactly
        once, whatever is published or deleted meanwhile. Memory does not grow with the number of
        files.
        """

    def describe(self, file: StoredFile) -> StoredFile:
        """Complete the description of a file that was listed with `brief`. Raise NotFound."""

    def reserve_space(
        self, staged: StagedFile, size: int, *, ahead: int = 0, min_free: int = 0
    ) -> int | None:
        """Reserve space for the first `size` bytes of a staged file.

        `min_free` bytes stay free in the store, whatever other processes reserve at the same time.
        Return how many bytes of the file have space now: fewer than `size` if the file system
        cannot reserve, None if the store has no limit. Raise StorageFull. `ahead` is a hint: up to
        so many bytes more may be reserved.
        """

    def release_unused_space(self, staged: StagedFile) -> None:
        """Release the space that is reserved beyond the bytes that are stored."""

    def free_space(self) -> int | None:
        """Return how many bytes may still be written; None if the store has no limit."""

    def free_files(self) -> int | None:
        """Return how many files may still be created; None if the store has no limit."""

    def sweep(self) -> None:
        """Remove the files that were left unpublished by processes that died."""
