"""S3Store: one place in a bucket, which is the whole database.

PREFIX/report.pdf                     a published file; put there by whatever means, it is served
PREFIX/.fileservice/facts/ID          what is known about a file that came in parts (description)
PREFIX/.fileservice/staging/ID/…      files on their way in that are judged at their end (pieces)
PREFIX/.fileservice/uploads/ID/…      uploads that can be resumed (uploads)
PREFIX/.fileservice/leases/ID         who writes at one of those (lease)
PREFIX/.fileservice/release-requests/ID  whose locks are asked for (locker)
"""

from collections.abc import Iterator, Mapping

from fileservice.names import BadName, FileName
from fileservice.storage.errors import NotFound, StorageUnavailable
from fileservice.storage.files import Opened, StoredFile
from fileservice.storage.interface import StagedFile, Writer
from fileservice.storage.s3 import reservation, sweep, verify
from fileservice.storage.s3.bucket import Bucket, Entry, Head
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.locker import S3Locker
from fileservice.storage.s3.metadata import HAS_FACTS, ID, MetadataStore, listed
from fileservice.storage.s3.object_reader import ObjectReader
from fileservice.storage.s3.uploads import S3Uploads
from fileservice.storage.s3.writer import SpoolingWriter, StreamingWriter

_LINK_SECONDS = 300


class S3Store:
    """See the module, and `storage.interface.Store` for what each call guarantees."""

    remote = True

    def __init__(self, location: Location, *, verified: bool = False) -> None:
        self._bucket = Bucket(location)
        if not verified:
            verify.verify(self._bucket)
        self._metadata = MetadataStore(self._bucket)
        self.uploads = S3Uploads(self._bucket)
        self.locker = S3Locker(self._bucket, self._metadata)

    def check(self) -> None:
        try:
            self._bucket.check(patience=0.0)  # one call: whoever wants to know asks again
        except ObjectMissing:
            raise StorageUnavailable("there is no such bucket") from None

    def writer(
        self,
        length: int | None = None,
        *,
        stream_to: FileName | None = None,
        min_free: int = 0,  # noqa: ARG002  # there is always room
    ) -> Writer:
        if stream_to is None:
            return SpoolingWriter(self._bucket, self._metadata, length)
        return StreamingWriter(self._bucket, self._metadata, length, stream_to)

    def open(self, name: FileName, *, sequential: bool = False) -> Opened:
        stream = None
        if sequential:
            try:
                head, stream = self._bucket.get(name)
            except ObjectMissing:
                raise NotFound(name) from None
        else:
            head = self._head(name)
        body = ObjectReader(self._bucket, name, head.etag, head.size, stream)
        try:
            if reservation.is_reservation(head):
                raise NotFound(name)
            return Opened(self._metadata.describe(name, head), body)  # type: ignore[arg-type]
        except BaseException:
            body.close()
            raise

    def stat(self, name: FileName) -> StoredFile:
        head = self._head(name)
        if reservation.is_reservation(head):
            raise NotFound(name)
        return self._metadata.describe(name, head)

    def sync_names(self) -> None:
        """What the store has answered for, it keeps."""

    def is_taken(self, name: FileName) -> bool:
        return reservation.is_taken(self._bucket, name)

    def delete(self, name: FileName, version: str | None = None) -> None:
        head = self._head(name)
        if reservation.is_reservation(head):
            raise NotFound(name)
        if version is not None and self._metadata.describe(name, head).version != version:
            raise NotFound(name)
        try:
            self._bucket.delete(name, head.etag)
        except (ObjectMissing, PreconditionFailed):
            raise NotFound(name) from None
        if HAS_FACTS in head.metadata:
            self._metadata.drop(head.metadata.get(ID, ""))

    def presigned_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:
        return self._bucket.signed_url(file.name, _LINK_SECONDS, fields)

    def list(
        self,
        after: str = "",
        prefix: str = "",
        contains: str = "",
        *,
        expected: int | None = None,
        brief: bool = False,  # noqa: ARG002  # it always is
    ) -> Iterator[StoredFile]:
        if "/" in prefix:
            return
        wanted = contains.casefold()
        first_page = 1000 if expected is None or wanted else min(1000, expected)
        for page in self._bucket.pages(
            prefix, _before_slash(after), folders=True, first_page=first_page
        ):
            for entry in page:
                if (
                    isinstance(entry, Entry)
                    and entry.key > after
                    and wanted in entry.key.casefold()
                ):
                    try:
                        name = FileName.parse(entry.key)
                    except BadName:
                        continue  # not a name that can be asked for
                    found = entry if name == entry.key else None
                    if found and reservation.may_be_reservation(found):
                        found = self._looked_at(found)
                    if found:
                        yield listed(name, found)

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

    def release_unused_space(self, staged: StagedFile) -> None:
        pass

    def free_space(self) -> int | None:
        return None

    def free_files(self) -> int | None:
        return None

    def sweep(self) -> None:
        sweep.sweep(self._bucket)

    def _looked_at(self, entry: Entry) -> Entry | None:
        """What is there now, if it is a file: a reservation may have become one since."""
        try:
            head = self._bucket.head(entry.key)
        except ObjectMissing:
            return None
        if reservation.is_reservation(head):
            return None
        return Entry(entry.key, head.size, head.etag, head.modified, head.age)

    def _head(self, name: FileName) -> Head:
        try:
            return self._bucket.head(name)
        except ObjectMissing:
            raise NotFound(name) from None


def _before_slash(after: str) -> str:
    """From where to list so that nothing past `after` is missed: no name of ours has a slash."""
    head, slash, _ = after.partition("/")
    return f"{head}.\U0010ffff" if slash else head
