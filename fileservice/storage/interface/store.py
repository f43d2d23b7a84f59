"""The store: published files, and the way to its other parts."""

from collections.abc import Generator, Iterator, Mapping
from typing import Protocol

from fileservice.names import FileName
from fileservice.storage.files import Opened, StoredFile
from fileservice.storage.interface.expiry import ExpiredFiles
from fileservice.storage.interface.internal import PrivateFiles, UsageRecords
from fileservice.storage.interface.uploads import Locker, Uploads
from fileservice.storage.interface.writers import StagedFile, Writer


class Store(Protocol):
    """A flat set of immutable files. Every call may block, and may raise StorageUnavailable.

    From the second on at which a file expires, by the clock of this process, it is not found.
    """

    @property
    def uploads(self) -> Uploads:
        """The resumable uploads."""

    @property
    def locker(self) -> Locker:
        """The locks of the resumable uploads."""

    @property
    def expired(self) -> ExpiredFiles:
        """The files that have expired and are yet to be removed."""

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

        An expired file keeps its name taken until it is removed. Raise NameReserved if that is
        being decided.
        """

    def delete(self, name: FileName, version: str | None = None) -> StoredFile:
        """Remove a file durably, and describe it as it was.

        Raise NotFound, also if it does not have the given `version`, or NameReserved if another
        file may be about to replace it.
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
        once, whatever is published or deleted meanwhile. With `brief`, it may have files that have
        expired since the call; `describe` does not find them. Memory does not grow with the number
        of files.
        """

    def describe(self, file: StoredFile) -> StoredFile:
        """Complete the description of a file that was listed with `brief`. Raise NotFound."""

    def reserve_space(
        self, staged: StagedFile, size: int, *, ahead: int = 0, min_free: int = 0
    ) -> int | None:
        """Reserve space for the first `size` bytes of a staged file.

        `min_free` bytes stay free in the store, whatever other processes reserve at the same time.
        Return up to where the file can be written now: before `size` if the file system cannot
        reserve, or if there is so much space that nothing needs to be reserved yet; None if the
        store has no limit. Raise StorageFull. `ahead` is a hint: up to so many bytes more may be
        reserved.
        """

    def reserve_in_steps(
        self, staged: StagedFile, size: int, *, min_free: int = 0
    ) -> Generator[int, None, None]:
        """Reserve space for the first `size` bytes of a staged file, in steps.

        After each step, yield up to where the file can be written. In the end, this may be before
        `size`, as with `reserve_space`. Raise StorageFull, before the first step if there is not
        enough space for all of them. Until the iterator ends or is closed, no other space of the
        store is reserved. So nothing but this file may be waited for until then.
        """

    def release_unused_space(self, staged: StagedFile) -> None:
        """Release the space that is reserved beyond the bytes that are stored."""

    def free_space(self) -> int | None:
        """Return how many bytes may still be written; None if the store has no limit."""

    def free_files(self) -> int | None:
        """Return how many files may still be created; None if the store has no limit."""

    def staged_bytes(self) -> int | None:
        """Return how many bytes staged files have; None if that is not known without requests."""

    def sweep(self) -> None:
        """Remove the files that were left unpublished by processes that died."""
