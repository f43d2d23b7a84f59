"""S3Store: files under one prefix of a bucket, which is the whole database (see layout)."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping

from fileservice.names import FileName
from fileservice.storage.errors import NotFound
from fileservice.storage.files import Opened, StoredFile
from fileservice.storage.interface import StagedFile, Writer
from fileservice.storage.s3 import reservation, sweep, verify
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.expired_files import S3ExpiredFiles
from fileservice.storage.s3.expiry_index import ExpiryIndex
from fileservice.storage.s3.file_listing import FileListing
from fileservice.storage.s3.heartbeat import Heartbeat
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.locker import S3Locker
from fileservice.storage.s3.metadata import MetadataStore
from fileservice.storage.s3.name_lock import remove_locked
from fileservice.storage.s3.object_reader import ObjectReader
from fileservice.storage.s3.objects import ObjectHead
from fileservice.storage.s3.private_files import S3PrivateFiles
from fileservice.storage.s3.timing import Timing
from fileservice.storage.s3.uploads import S3Uploads
from fileservice.storage.s3.usage import S3UsageRecords
from fileservice.storage.s3.writer import SpoolingWriter, StreamingWriter

_URL_SECONDS = 300


class S3Store:
    """See `interface.Store` for what each call guarantees."""

    remote = True

    def __init__(
        self,
        location: Location,
        *,
        verified: bool = False,
        timing: Timing | None = None,
        heartbeat: Heartbeat | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the store at a location, and verify the bucket unless that was done before.

        `clock` returns seconds since the Unix epoch.
        """
        self._clock = clock
        timing = timing or Timing()
        self.client = S3Client(location, timing)
        """The client that makes all requests of this store."""
        if not verified:
            verify.verify(self.client)
        self._metadata_store = MetadataStore(self.client)
        self._expiry_index = index = ExpiryIndex(self.client)
        self._listing = FileListing(self.client, self._metadata_store, index, clock)
        self.expired = S3ExpiredFiles(self.client, self._metadata_store, index, clock)
        self.uploads = S3Uploads(self.client)
        self.private_files = S3PrivateFiles(self.client)
        self.usage = S3UsageRecords(self.client, self._metadata_store)
        self.locker = S3Locker(
            self.client,
            self._metadata_store,
            index,
            heartbeat or Heartbeat(timing.heartbeat_interval),
        )

    def check(self) -> None:
        verify.check_bucket(self.client, retry=False)

    def writer(self, length: int | None = None, *, stream_to: FileName | None = None) -> Writer:
        if stream_to is None:
            return SpoolingWriter(self.client, self._metadata_store, self._expiry_index, length)
        return StreamingWriter(
            self.client, self._metadata_store, self._expiry_index, length, stream_to
        )

    def open(self, name: FileName, *, sequential: bool = False) -> Opened:
        stream = None
        if sequential:
            try:
                head, stream = self.client.get_object(name)
            except ObjectMissing:
                raise NotFound(name) from None
        else:
            head = self._head(name)
        body = ObjectReader(self.client, name, head.etag, head.size, stream)
        try:
            if reservation.is_reservation(head):
                raise NotFound(name)
            file = self._describe(name, head)
        except BaseException:
            body.close()
            raise
        return Opened(file, body, body.seek_range, body.begin_range)  # type: ignore[arg-type]

    def stat(self, name: FileName) -> StoredFile:
        return self._describe(name, self._head_of_file(name))

    def sync_names(self) -> None:
        """Return: a bucket answers only once an object is durable."""

    def is_taken(self, name: FileName) -> bool:
        return reservation.is_taken(self.client, name)

    def delete(self, name: FileName, version: str | None = None) -> StoredFile:
        def find() -> tuple[ObjectHead, StoredFile]:
            head = self._head_of_file(name)
            file = self._describe(name, head)
            if version is not None and file.version != version:
                raise NotFound(name)
            return head, file

        def remove() -> StoredFile:
            head, file = find()
            try:
                self.client.delete_object(name, head.etag)
            except (ObjectMissing, PreconditionFailed):
                raise NotFound(name) from None
            self._metadata_store.remove_of(head)
            self._expiry_index.discard_of(file, head)
            return file

        return remove_locked(self.client, name, find, remove)

    def presigned_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:
        seconds = _URL_SECONDS
        if file.expires is not None:
            seconds = max(1, min(seconds, int(file.expires - self._clock())))
        return self.client.presigned_url(file.name, seconds, fields)

    def list(
        self,
        after: str = "",
        prefix: str = "",
        contains: str = "",
        *,
        expected: int | None = None,
        brief: bool = False,  # noqa: ARG002  # a listing of a bucket always is
    ) -> Iterator[StoredFile]:
        return self._listing.files(after, prefix, contains, expected)

    def describe(self, file: StoredFile) -> StoredFile:
        return file

    def reserve_space(
        self,
        staged: StagedFile,  # noqa: ARG002
        size: int,  # noqa: ARG002
        *,
        ahead: int = 0,  # noqa: ARG002
        min_free: int = 0,  # noqa: ARG002
    ) -> int | None:
        return None

    def reserve_in_steps(
        self,
        staged: StagedFile,  # noqa: ARG002
        size: int,
        *,
        min_free: int = 0,  # noqa: ARG002
    ) -> Generator[int, None, None]:
        yield size

    def release_unused_space(self, staged: StagedFile) -> None:
        pass

    def free_space(self) -> int | None:
        return None

    def free_files(self) -> int | None:
        return None

    def staged_bytes(self) -> None:
        return None

    def sweep(self) -> None:
        sweep.sweep(self.client)

    def _describe(self, name: FileName, head: ObjectHead) -> StoredFile:
        """Describe a file whose object has this head. Raise NotFound if it has expired."""
        file = self._metadata_store.describe(name, head)
        if file.has_expired(self._clock()):
            raise NotFound(name)
        return file

    def _head_of_file(self, name: FileName) -> ObjectHead:
        head = self._head(name)
        if reservation.is_reservation(head):
            raise NotFound(name)
        return head

    def _head(self, name: FileName) -> ObjectHead:
        try:
            return self.client.head_object(name)
        except ObjectMissing:
            raise NotFound(name) from None
