"""S3Uploads: uploads that outlive connections, processes and machines (see layout for their keys).

The offset of an upload is the length of its contiguous pieces and is recorded nowhere else.
"""

import time
from collections.abc import Callable, Iterator

from fileservice.storage.errors import NoSuchUpload, StorageUnavailable
from fileservice.storage.files import StoredUpload, UnfinishedUpload, id_of_record
from fileservice.storage.s3 import records
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.layout import (
    LEASES,
    UPLOADS,
    is_id,
    new_id,
    record_key,
    upload_folder,
)
from fileservice.storage.s3.lease import reported_size
from fileservice.storage.s3.listing import ListedObject, list_objects, list_pages
from fileservice.storage.s3.pieces import contiguous, end_of
from fileservice.storage.s3.retries import attempts


class S3Uploads:
    """See `interface.Uploads`."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def create(
        self,
        record: bytes,
        length: int | None,  # noqa: ARG002  # a bucket reserves no room
        *,
        min_free: int = 0,  # noqa: ARG002
    ) -> str:
        upload = new_id()
        records.create(self._client, upload, record)
        return upload

    def create_ended(self, record: bytes) -> str:
        upload = id_of_record(record)
        records.create(self._client, upload, record)
        return upload

    def read(self, upload: str, is_wanted: Callable[[bytes], bool] | None = None) -> StoredUpload:
        for _ in attempts(self._client.timing.retry):
            try:
                record, etag = records.read(self._client, upload)
            except ObjectMissing:
                raise NoSuchUpload from None
            if is_wanted and not is_wanted(record):
                raise NoSuchUpload
            objects = list_objects(self._client, upload_folder(upload))
            # Record and bytes are of one moment if the record was not replaced in between.
            if records.listed_etag(objects, upload) == etag:
                pieces, _ = contiguous(objects)
                age = min(listed.age for listed in objects)
                return StoredUpload(record, end_of(pieces), time.time() - max(0.0, age))
        raise StorageUnavailable("the upload changed each time that it was read; try again")

    def bytes_written(self, upload: str) -> int:
        objects = list_objects(self._client, upload_folder(upload))
        if not objects:
            raise NoSuchUpload
        pieces, _ = contiguous(objects)
        return max(end_of(pieces), reported_size(self._client, upload))

    def remove(self, upload: str) -> None:
        # The record goes first: without it the upload does not exist, and its bytes are orphans.
        self._client.delete_object(record_key(upload))
        objects = list_objects(self._client, upload_folder(upload))
        self._client.delete_objects([listed.key for listed in objects])

    def remove_unreadable(self, upload: str, min_idle: float) -> None:
        objects = list_objects(self._client, upload_folder(upload))
        if objects and min(listed.age for listed in objects) > min_idle:
            self._client.delete_objects([listed.key for listed in objects])
            self._client.delete_objects([LEASES + upload])

    def list_ids(self) -> Iterator[str]:
        for page in list_pages(self._client, UPLOADS, folders=True):
            for entry in page:
                key = entry.key if isinstance(entry, ListedObject) else entry
                upload = key.removeprefix(UPLOADS).rstrip("/")
                if is_id(upload):
                    yield upload

    def list_unfinished(self) -> Iterator[UnfinishedUpload]:
        for upload in self.list_ids():
            yield UnfinishedUpload(upload, size=None, reserved=0, modified=None)

    def read_record(self, upload: str) -> bytes:
        try:
            return records.read(self._client, upload)[0]
        except ObjectMissing:
            raise NoSuchUpload from None
