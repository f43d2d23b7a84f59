"""S3Uploads: uploads that outlive connections, processes and machines, as objects.

    .fileservice/uploads/ID/record      the record, always replaced whole
    .fileservice/uploads/ID/OFFSET      the bytes (see pieces)
    .fileservice/leases/ID              the one writer, while there is one (see lease)
    .fileservice/release-requests/ID    the lock is asked for (see locker)

The offset is what the pieces make together and is written down nowhere else.
"""

import re
import time
from collections.abc import Iterator

from fileservice.storage.errors import NoSuchUpload, StorageUnavailable
from fileservice.storage.files import StoredUpload, UnfinishedUpload, id_of_record
from fileservice.storage.s3 import records
from fileservice.storage.s3.bucket import Bucket, Entry
from fileservice.storage.s3.calls import RETRY_SECONDS, attempts
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.lease import LEASES, reported_size
from fileservice.storage.s3.metadata import new_id
from fileservice.storage.s3.pieces import contiguous, end_of

UPLOADS = ".fileservice/uploads/"
_ID = re.compile(r"[0-9a-f]{32}")
RECORD = "record"


class S3Uploads:
    """See `storage.interface.Uploads`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def create(
        self,
        record: bytes,
        length: int | None,  # noqa: ARG002  # no room to take
        *,
        min_free: int = 0,  # noqa: ARG002
    ) -> str:
        upload = new_id()
        records.create(self._bucket, folder_of(upload) + RECORD, record)
        return upload

    def create_ended(self, record: bytes) -> str:
        upload = id_of_record(record)
        records.create(self._bucket, folder_of(upload) + RECORD, record)
        return upload

    def read(self, upload: str) -> StoredUpload:
        folder = folder_of(upload)
        for _ in attempts(RETRY_SECONDS):
            try:
                head, record = records.read(self._bucket, folder + RECORD)
            except ObjectMissing:
                raise NoSuchUpload from None
            entries = self._bucket.entries(folder)
            # Bytes and record are of one moment if it was not replaced between the two looks.
            if record_etag(entries) == head.etag:
                pieces, _ = contiguous(entries)
                age = min(entry.age for entry in entries)
                return StoredUpload(record, end_of(pieces), time.time() - max(0.0, age))
        raise StorageUnavailable("the upload changes faster than it can be looked at")

    def bytes_written(self, upload: str) -> int:
        entries = self._bucket.entries(folder_of(upload))
        if not entries:
            raise NoSuchUpload
        pieces, _ = contiguous(entries)
        return max(end_of(pieces), reported_size(self._bucket, upload))

    def remove(self, upload: str) -> None:
        # The record goes first: what has none does not exist, and its bytes are an orphan.
        folder = folder_of(upload)
        self._bucket.delete(folder + RECORD)
        self._bucket.delete_all([entry.key for entry in self._bucket.entries(folder)])

    def remove_unreadable(self, upload: str, min_idle: float) -> None:
        entries = self._bucket.entries(folder_of(upload))
        if entries and min(entry.age for entry in entries) > min_idle:
            self._bucket.delete_all([entry.key for entry in entries])
            self._bucket.delete_all([LEASES + upload])

    def list_ids(self) -> Iterator[str]:
        for page in self._bucket.pages(UPLOADS, folders=True):
            for found in page:
                key = found.key if isinstance(found, Entry) else found
                upload = key.removeprefix(UPLOADS).rstrip("/")
                if _ID.fullmatch(upload):
                    yield upload

    def list_unfinished(self) -> Iterator[UnfinishedUpload]:
        for upload in self.list_ids():
            yield UnfinishedUpload(upload, size=None, reserved=0, modified=None)

    def read_record(self, upload: str) -> bytes:
        try:
            return records.read(self._bucket, folder_of(upload) + RECORD)[1]
        except ObjectMissing:
            raise NoSuchUpload from None


def folder_of(upload: str) -> str:
    """Return the prefix of the keys of an upload. Raise NoSuchUpload if it is not an id."""
    if not _ID.fullmatch(upload):
        raise NoSuchUpload
    return f"{UPLOADS}{upload}/"


def record_etag(entries: list[Entry]) -> str | None:
    """The ETag of the record, if there is one."""
    return next((entry.etag for entry in entries if entry.key.endswith("/" + RECORD)), None)
