"""S3Locker: the locks of resumable uploads, among all processes on all machines.

A lock is a lease (see lease), and a request to release it is an object that its holder looks for.
"""

from contextlib import AbstractContextManager, nullcontext, suppress

from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.s3 import records
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.expiry_index import ExpiryIndex
from fileservice.storage.s3.heartbeat import Heartbeat
from fileservice.storage.s3.layout import RELEASE_REQUESTS, release_request_key, upload_folder
from fileservice.storage.s3.lease import Lease
from fileservice.storage.s3.listing import list_objects
from fileservice.storage.s3.metadata import MetadataStore
from fileservice.storage.s3.pieces import Pieces, contiguous
from fileservice.storage.s3.resumable import S3ResumableWriter


class S3Locker:
    """See `interface.Locker`."""

    def __init__(
        self,
        client: S3Client,
        metadata_store: MetadataStore,
        expiry_index: ExpiryIndex,
        heartbeat: Heartbeat,
    ) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._expiry_index = expiry_index
        self._heartbeat = heartbeat

    def lock(self, upload: str) -> S3ResumableWriter:
        folder = upload_folder(upload)
        lease = Lease(self._client, upload)
        lease.acquire()
        try:
            if lease.taken_over:
                with suppress(ObjectMissing):
                    records.fence(self._client, upload)  # against the previous writer
        except BaseException:
            lease.abandon()
            raise
        try:
            objects = list_objects(self._client, folder)
            record_etag = records.listed_etag(objects, upload)
            if record_etag is None:
                raise NoSuchUpload
            pieces, other_keys = contiguous(objects)
            if other_keys:
                lease.ensure_held()  # otherwise they may be those of the next writer
                self._client.delete_objects(other_keys)
            return S3ResumableWriter(
                self._client,
                self._metadata_store,
                self._heartbeat,
                self._expiry_index,
                upload=upload,
                lease=lease,
                record_etag=record_etag,
                pieces=Pieces(self._client, folder, pieces),
            )
        except BaseException:
            lease.release()
            raise

    def request_release(self, upload: str) -> None:
        self._client.put_object(release_request_key(upload), b"")

    def release_requests(self) -> list[str]:
        objects = list_objects(self._client, RELEASE_REQUESTS)
        expired = [o.key for o in objects if o.age > self._client.timing.release_request]
        if expired:
            self._client.delete_objects(expired)
        return [o.key.removeprefix(RELEASE_REQUESTS) for o in objects if o.key not in expired]

    def cancel_release_request(self, upload: str) -> None:
        with suppress(ObjectMissing):
            self._client.delete_object(release_request_key(upload))

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()
