"""S3Locker: the locks of resumable uploads, among all processes on all machines.

.fileservice/leases/ID              a lock, and its holder (see lease)
.fileservice/release-requests/ID    the lock is asked for
"""

from contextlib import AbstractContextManager, nullcontext, suppress

from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.s3 import records
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.lease import Heartbeat, Lease
from fileservice.storage.s3.metadata import MetadataStore
from fileservice.storage.s3.pieces import Pieces, contiguous
from fileservice.storage.s3.resumable import S3ResumableWriter
from fileservice.storage.s3.uploads import RECORD, folder_of, record_etag

RELEASE_REQUESTS = ".fileservice/release-requests/"
_REQUEST_SECONDS = 10.0


class S3Locker:
    """See `storage.interface.Locker`."""

    def __init__(self, bucket: Bucket, metadata: MetadataStore) -> None:
        self._bucket = bucket
        self._metadata = metadata
        self._heart = Heartbeat()

    def lock(self, upload: str) -> S3ResumableWriter:
        folder = folder_of(upload)
        lease = Lease(self._bucket, upload)
        lease.take()
        try:
            if lease.taken_over:
                with suppress(ObjectMissing):
                    records.fence(self._bucket, folder + RECORD)  # against who had it before
        except BaseException:
            lease.abandon()
            raise
        try:
            entries = self._bucket.entries(folder)
            etag = record_etag(entries)
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
                (folder + RECORD, etag),
                Pieces(self._bucket, folder, pieces),
            )
        except BaseException:
            lease.release()
            raise
        return writer

    def request_release(self, upload: str) -> None:
        folder_of(upload)
        self._bucket.put(RELEASE_REQUESTS + upload, b"")

    def release_requests(self) -> list[str]:
        entries = self._bucket.entries(RELEASE_REQUESTS)
        old = [entry.key for entry in entries if entry.age > _REQUEST_SECONDS]
        if old:
            self._bucket.delete_all(old)  # whoever made them is dead
        return [
            entry.key.removeprefix(RELEASE_REQUESTS) for entry in entries if entry.key not in old
        ]

    def cancel_release_request(self, upload: str) -> None:
        with suppress(ObjectMissing):
            self._bucket.delete(RELEASE_REQUESTS + upload)

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()
