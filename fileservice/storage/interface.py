"""What a store guarantees: the contract that every store passes in tests/store_contract.py."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from fileservice.names import FileName

_YEAR_1, _END_OF_9999 = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True, slots=True)
class StoreVerification:
    """What was found out when a store was proved to be fit."""

    identity: str | None = None
    """Which store it is, 32 hexadecimal digits; None where that is not known, or not told."""
    lines: tuple[tuple[int, str], ...] = ()
    """What the operator should know: the level, as in `logging`, and a sentence."""


def id_of_record(record: bytes) -> str:
    """The id of an upload that ended as it began, and of which only this record is kept."""
    return hashlib.sha256(record).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Content:
    """What was found out about the bytes of a file while they came in."""

    media_type: str
    charset: str | None = None
    """The name of the text's encoding; None for what is not text, or in no encoding we can tell."""
    sha256: bytes | None = None
    """The digest of all bytes; None where it was never computed or is out of date."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known about a published file; true for as long as the file exists."""

    name: FileName
    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since the Unix epoch."""
    content: Content
    version: str
    """Changes whenever the bytes do; text that may stand in an entity tag."""

    @property
    def modified(self) -> int:
        """Seconds since the Unix epoch, held within the years that HTTP can name."""
        return max(_YEAR_1, min(self.modified_ns // 1_000_000_000, _END_OF_9999))


@dataclass(frozen=True, slots=True)
class Opened:
    """A published file opened for reading; `body` is seekable and must be closed.

    A body that the kernel can send from has a `fileno`; one that comes over a network may have
    `expect(first, end)`, which tells it which bytes will be read next.
    """

    file: StoredFile
    body: BinaryIO

    def expect(self, first: int, end: int) -> None:
        """Stand at byte `first`; what is read next ends before byte `end`."""
        self.body.seek(first)
        expect = getattr(self.body, "expect", None)
        if expect:
            expect(first, end)


class Staged(Protocol):
    """Bytes that are there but not published, to be judged before they are."""

    @property
    def size(self) -> int:
        """How many."""

    def read_at(self, count: int, offset: int) -> bytes:
        """Bytes from `offset` on: `count` of them, or as many as there are."""

    def descriptor(self) -> AbstractContextManager[int]:
        """A descriptor from which the bytes can be read at any offset.

        A store that has the bytes elsewhere shows them up to some tens of MiB; of more, the
        beginning and the end in their places, and zeros between.
        """


class Writer(Staged, Protocol):
    """One file on its way in, invisible until `publish`. It must be closed, whatever happens."""

    def write(self, block: bytes | memoryview) -> None:
        """Append `block`, all of it. Raises StorageFull, StorageUnavailable."""

    def publish(self, name: FileName, content: Content) -> StoredFile:
        """Make the file visible as `name`, whole, durably and in one step.

        Of any number of writers that publish one name, in any processes, one succeeds; the
        others get NameTaken and change nothing. Where it is not decided in time who does, the
        error is NameReserved, and the bytes can be published later.
        """

    def close(self) -> None:
        """Give back what the writer holds; what was not published is gone. Raises nothing."""


class ResumableWriter(Writer, Protocol):
    """The one writer of an unfinished upload; what it wrote outlives it, until it is removed."""

    def truncate(self, size: int) -> None:
        """Drop what lies past the first `size` bytes, durably."""

    def sync(self) -> None:
        """Return when all that was written will outlast a power cut.

        Where it raises, what was written since it last returned may be gone.
        """

    def update(self, record: bytes, length: int | None = None) -> None:
        """Replace the record, and take the room for `length` bytes if that is known by now.

        Raises StorageFull; and Locked if another has become the writer meanwhile.
        """

    def end(self, record: bytes) -> None:
        """Replace the record and remove the bytes. Raises Locked as `update` does."""


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An unfinished upload as it lies in the store."""

    record: bytes
    size: int
    """Bytes that are there."""
    touched: float
    """When bytes or record last changed; seconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload that may not have ended, as a listing tells of it."""

    upload: str
    size: int | None
    """Bytes that are there; None where a listing does not tell."""
    held: int
    """Bytes of room that are taken beyond those."""
    age: float
    """Seconds since its bytes changed; 0 where a listing does not tell."""


class Uploads(Protocol):
    """Uploads that outlive connections and processes: bytes, and beside them a record.

    What a record says is the caller's business. Every change is one atomic and durable step.
    """

    def create(self, record: bytes, length: int | None, *, leave: int = 0) -> str:
        """Begin one; its id, 32 hexadecimal digits. Takes the room for `length` bytes at once.

        Raises StorageFull, also if fewer than `leave` bytes would stay free.
        """

    def create_ended(self, record: bytes) -> str:
        """Keep the record of one that ended as it began; its id, the same for the same record.

        Raises StorageFull.
        """

    def read(self, upload: str) -> StoredUpload:
        """How it stands; the bytes counted outlast a power cut. Raises NoSuchUpload."""

    def progress(self, upload: str) -> int:
        """How many bytes have been written so far, durably or not. Raises NoSuchUpload."""

    def open(self, upload: str) -> ResumableWriter:
        """Become the one writer, of all in any process. Raises NoSuchUpload, Locked."""

    def remove(self, upload: str) -> None:
        """Remove all of it. Only its writer may, or whoever finds it expired."""

    def remove_remains(self, upload: str, seconds: float) -> None:
        """Remove what there is of an upload that cannot be read, untouched for so long."""

    def request_release(self, upload: str) -> None:
        """Ask the writer, in whatever process, to let go."""

    def release_requests(self) -> list[str]:
        """The uploads whose writers are asked to let go."""

    def cancel_release_request(self, upload: str) -> None:
        """Take the claim back."""

    def ids(self) -> Iterator[str]:
        """All that are there, in no order."""

    def unfinished(self) -> Iterator[UnfinishedUpload]:
        """Those that may not have ended, at the cost of a listing; in no order."""

    def record(self, upload: str) -> bytes:
        """The record alone. Raises NoSuchUpload."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep all others from the same, in whatever process on this machine, while it lasts.

        A store that many machines share keeps nobody from anything.
        """


class Store(Protocol):
    """A flat set of immutable files. Every call may block and may raise StorageUnavailable."""

    @property
    def uploads(self) -> Uploads:
        """The uploads that can be resumed."""

    @property
    def remote(self) -> bool:
        """Whether calls wait for a network, as an event loop can, rather than for a disk."""

    def check(self) -> None:
        """Raise what hinders that files are stored now: StorageUnavailable, StorageFull, Busy."""

    def writer(
        self, length: int | None = None, *, meant_for: FileName | None = None, leave: int = 0
    ) -> Writer:
        """Begin a file, of exactly `length` bytes if that is known: then StorageFull comes at once,
        also if fewer than `leave` bytes would stay free (see `make_room`).

        `meant_for` is the name that it will have, given if its bytes need not be read back once
        they are more than a store keeps in memory (8 MiB): then a store may put them in their
        place at once. Whatever a dead process had begun is swept in time.
        """

    def open(self, name: FileName, *, whole: bool = False) -> Opened:
        """Open a file; description and bytes are of one and the same file. Raises NotFound.

        `whole` says that it will be read from its beginning to its end.
        """

    def direct_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:
        """Where a client without any rights can fetch this very file for some minutes.

        `fields` are Content-Type and Content-Disposition of what it gets. None where there is no
        such place.
        """

    def stat(self, name: FileName) -> StoredFile:
        """Describe a file. Raises NotFound."""

    def sync_names(self) -> None:
        """Return when every file that can be seen now will outlast a power cut."""

    def taken(self, name: FileName) -> bool:
        """Whether a file could not be published under this name now, whatever stands there.

        Raises NameReserved where that is about to be decided.
        """

    def delete(self, name: FileName, version: str | None = None) -> None:
        """Remove a file durably; with `version`, only if it is still that one (else NotFound)."""

    def list(
        self,
        after: str = "",
        prefix: str = "",
        contains: str = "",
        *,
        expected: int | None = None,
        brief: bool = False,
    ) -> Iterator[StoredFile]:
        """The files in code point order of their names, from the first one past `after`.

        Digests are unknown where they would cost a request for each file. `expected` is how many
        the caller is likely to take. With `brief` only name, size and time of modification are
        sure, for one who looks at many files and has few of them described (`describe`).

        A cursor, not a snapshot: files that are there throughout come exactly once, whatever is
        published or deleted meanwhile. `contains` ignores case. Memory does not grow with the
        number of files.
        """

    def describe(self, file: StoredFile) -> StoredFile:
        """The same file as `list` tells of it, if it told of it in brief. Raises NotFound."""

    def make_room(self, staged: Staged, size: int, *, ahead: int = 0, leave: int = 0) -> int | None:
        """Take the room for `size` bytes of a file on its way in, and for up to `ahead` more.

        `leave` bytes stay free in the store, whoever takes room at the same time in whatever
        process. How many bytes of the file have room now: fewer than `size` where nothing can be
        reserved, None where the store has no such limit. Raises StorageFull.
        """

    def give_room_back(self, staged: Staged) -> None:
        """Give back the room beyond the bytes that are there."""

    def free_space(self) -> int | None:
        """Bytes that may still be written; None where the store has no such limit."""

    def free_files(self) -> int | None:
        """How many files may still be made; None where the store has no such limit."""

    def sweep(self) -> None:
        """Remove what dead writers left behind."""
