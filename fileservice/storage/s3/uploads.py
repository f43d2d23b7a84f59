"""S3Uploads: uploads that outlive connections, processes and machines, as objects.

    .fileservice/uploads/ID/record      the record, always replaced whole
    .fileservice/uploads/ID/OFFSET      the bytes (see pieces)
    .fileservice/leases/ID              the one writer, while there is one (see lease)
    .fileservice/claims/ID              somebody asks the writer to let go

The offset is what the pieces make together and is written down nowhere else.
"""

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress

from fileservice.storage.errors import NoSuchUpload, StorageUnavailable
from fileservice.storage.interface import StoredUpload, UnfinishedUpload, id_of_record
from fileservice.storage.s3 import records
from fileservice.storage.s3.bucket import Bucket, Entry
from fileservice.storage.s3.calls import RETRY_SECONDS, attempts
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.lease import LEASES, Heartbeat, Lease, reported_size
from fileservice.storage.s3.metadata import MetadataStore, new_id
from fileservice.storage.s3.pieces import Pieces, contiguous, end_of
from fileservice.storage.s3.resumable import S3ResumableWriter

UPLOADS = ".fileservice/uploads/"
CLAIMS = ".fileservice/claims/"
_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = "record"
_CLAIM_SECONDS = 10.0


class S3Uploads:
    """See `storage.base.Uploads`."""

    def __init__(self, bucket: Bucket, metadata: MetadataStore) -> None:
        self._bucket = bucket
        self._metadata = metadata
        self._heart = Heartbeat()

    def create(
        self,
        record: bytes,
        length: int | None,  # noqa: ARG002  # no room to take
        *,
        leave: int = 0,  # noqa: ARG002
    ) -> str:
        upload = new_id()
        records.create(self._bucket, self._folder(upload) + _RECORD, record)
        return upload

    def create_ended(self, record: bytes) -> str:
        upload = id_of_record(record)
        records.create(self._bucket, self._folder(upload) + _RECORD, record)
        return upload

    def read(self, upload: str) -> StoredUpload:
        folder = self._folder(upload)
        for _ in attempts(RETRY_SECONDS):
            try:
                head, record = records.read(self._bucket, folder + _RECORD)
            except ObjectMissing:
                raise NoSuchUpload from None
            entries = self._bucket.entries(folder)
            # Bytes and record are of one moment if it was not replaced between the two looks.
            if _record_in(entries) == head.etag:
                pieces, _ = contiguous(entries)
                age = min(entry.age for entry in entries)
                return StoredUpload(record, end_of(pieces), time.time() - max(0.0, age))
        raise StorageUnavailable("the upload changes faster than it can be looked at")

    def progress(self, upload: str) -> int:
        entries = self._bucket.entries(self._folder(upload))
        if not entries:
            raise NoSuchUpload
        pieces, _ = contiguous(entries)
        return max(end_of(pieces), reported_size(self._bucket, upload))

    def open(self, upload: str) -> S3ResumableWriter:
        folder = self._folder(upload)
        lease = Lease(self._bucket, upload)
        lease.take()
        try:
            if lease.taken_over:
                with suppress(ObjectMissing):
                    records.fence(self._bucket, folder + _RECORD)  # against who had it before
        except BaseException:
            lease.abandon()
            raise
        try:
            entries = self._bucket.entries(folder)
            etag = _record_in(entries)
            if etag is None:
                raise NoSuchUpload
            pieces, others = contiguous(entries)
            if others:
                lease.ensure_held()  # else they may be the next writer's
                self._bucket.delete_all(others)
            writer = S3ResumableWriter(
                self._bucket,
                self._metadata,
                self._heart,
                lease,
                upload,
                (folder + _RECORD, etag),
                Pieces(self._bucket, folder, pieces),
            )
        except BaseException:
            lease.release()
            raise
        return writer

    def remove(self, upload: str) -> None:
        # The record goes first: what has none does not exist, and its bytes are an orphan.
        folder = self._folder(upload)
        self._bucket.delete(folder + _RECORD)
        self._bucket.delete_all([entry.key for entry in self._bucket.entries(folder)])

    def remove_remains(self, upload: str, seconds: float) -> None:
        entries = self._bucket.entries(self._folder(upload))
        if entries and min(entry.age for entry in entries) > seconds:
            self._bucket.delete_all([entry.key for entry in entries])
            self._bucket.delete_all([LEASES + upload])

    def request_release(self, upload: str) -> None:
        self._folder(upload)
        self._bucket.put(CLAIMS + upload, b"")

    def release_requests(self) -> list[str]:
        entries = self._bucket.entries(CLAIMS)
        old = [entry.key for entry in entries if entry.age > _CLAIM_SECONDS]
        if old:
            self._bucket.delete_all(old)  # whoever made them is dead
        return [entry.key.removeprefix(CLAIMS) for entry in entries if entry.key not in old]

    def cancel_release_request(self, upload: str) -> None:
        with suppress(ObjectMissing):
            self._bucket.delete(CLAIMS + upload)

    def ids(self) -> Iterator[str]:
        for page in self._bucket.pages(UPLOADS, folders=True):
            for found in page:
                key = found.key if isinstance(found, Entry) else found
                upload = key.removeprefix(UPLOADS).rstrip("/")
                if _ID.fullmatch(upload):
                    yield upload

    def unfinished(self) -> Iterator[UnfinishedUpload]:
        for upload in self.ids():
            yield UnfinishedUpload(upload, size=None, held=0, age=0.0)

    def record(self, upload: str) -> bytes:
        try:
            return records.read(self._bucket, self._folder(upload) + _RECORD)[1]
        except ObjectMissing:
            raise NoSuchUpload from None

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    @staticmethod
    def _folder(upload: str) -> str:
        if not _ID.fullmatch(upload):
            raise NoSuchUpload
        return f"{UPLOADS}{upload}/"


def _record_in(entries: list[Entry]) -> str | None:
    """The ETag of the record, if there is one."""
    return next((entry.etag for entry in entries if entry.key.endswith("/" + _RECORD)), None)
