"""Files that are being received and are invisible until they are published."""

from contextlib import AbstractContextManager
from typing import Protocol

from fileservice.names import FileName
from fileservice.storage.files import Content, Owner, StoredFile


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

    def reopen(self) -> int | None:
        """Return a new descriptor, for reading only, of the file with the bytes; it must be closed.

        It has an offset of its own and no lock, so another process can be given it. Return None if
        the store keeps the bytes elsewhere.
        """


class Writer(StagedFile, Protocol):
    """A file that is being received and is invisible until `publish`; it must be closed."""

    def write(self, block: bytes | memoryview) -> None:
        """Append all of `block`. Raise StorageFull or StorageUnavailable."""

    @property
    def replaced(self) -> StoredFile | None:
        """The file that `publish` replaced, as it was; None if there was none."""

    @property
    def sync_seconds(self) -> float:
        """How long `publish` has waited until the file was on the disk; 0 if that is not known."""

    def publish(
        self,
        name: FileName,
        content: Content,
        owner: Owner | None = None,
        *,
        replaces: str | None = None,
        expires: int | None = None,
        event: str = "",
    ) -> StoredFile:
        """Make the complete file visible as `name`, durably and in one atomic step.

        The content and the owner are kept with it, and the time at which it `expires`, in seconds
        since the Unix epoch. No failure of a process makes a file that expires stay for ever. Raise
        ExpiryNotSupported if the store cannot keep the time. So is the id of the `event`, 32
        hexadecimal digits, as far as the store can keep it.

        If any number of writers in any processes publish the same name, one succeeds. The others
        raise NameTaken and change nothing; so do all if an expired file has the name. A writer
        raises NameReserved if it could not be decided in time which of them succeeds; its bytes can
        be published later.

        With `replaces`, the file takes the place of the one with this name and this version. At
        every moment the name belongs to one of the two, also after a power failure. Of any number
        of writers that replace one version, and of those that delete it, one succeeds. The others
        raise VersionChanged, or NotFound if there is no file now. Who has opened the old file can
        read on in it, as far as the store allows (decision 20).
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
