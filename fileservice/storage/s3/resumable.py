"""S3ResumableWriter: the one writer of an upload that can be resumed.

It is that by its lease, and what rests on it is made sure of where it counts: pieces are created
where there are none, the record is replaced only while it is the one that this writer knows, and
before bytes are removed or published the lease is renewed.
"""

import threading
import time
from contextlib import AbstractContextManager, suppress

from fileservice.names import FileName
from fileservice.storage.errors import NameTaken, StorageError
from fileservice.storage.files import Content, StoredFile
from fileservice.storage.s3 import records, reservation
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.lease import Heartbeat, Lease
from fileservice.storage.s3.metadata import ID, MetadataStore
from fileservice.storage.s3.pieces import Pieces

_QUIET_SECONDS = 1.0
_KEPT_BACK_SECONDS = 5.0
"""After so long without a byte, or with bytes that trickle in, what is in memory is sent."""


class S3ResumableWriter:
    """See `storage.interface.ResumableWriter`."""

    def __init__(
        self,
        bucket: Bucket,
        metadata: MetadataStore,
        heart: Heartbeat,
        lease: Lease,
        upload: str,
        known: tuple[str, str],
        pieces: Pieces,
    ) -> None:
        self._bucket = bucket
        self._metadata = metadata
        self._heart = heart
        self._lease = lease
        self._upload = upload
        self._record, self._etag = known
        """The key of the record, and its ETag."""
        self._pieces = pieces
        self._lease.size = pieces.size
        self._lock = threading.Lock()
        self._written = self._flushed = time.monotonic()
        heart.add(lease.renew)
        heart.add(self._send_rest)

    @property
    def size(self) -> int:
        return self._pieces.size

    def write(self, block: bytes | memoryview) -> None:
        self._lease.ensure_held()
        with self._lock:
            if not self._pieces.kept_back:
                self._flushed = time.monotonic()
            self._pieces.write(block)
            self._written = time.monotonic()
        self._lease.size = self._pieces.size

    def _send_rest(self) -> None:
        now = time.monotonic()
        quiet, kept_back = now - self._written, now - self._flushed
        due = quiet > _QUIET_SECONDS or kept_back > _KEPT_BACK_SECONDS
        if due and self._lock.acquire(blocking=False):  # else the one who has it is at work
            try:
                with suppress(StorageError):  # raised by the next call as well
                    # What was kept back while the process stood still must not go out.
                    self._lease.ensure_held()
                    self._pieces.flush()
                    self._flushed = now
            finally:
                self._lock.release()

    def read_at(self, count: int, offset: int) -> bytes:
        return self._pieces.read_at(count, offset)

    def descriptor(self) -> AbstractContextManager[int]:
        return self._pieces.descriptor()

    def truncate(self, size: int) -> None:
        self._lease.renew_now()  # else it would remove what another has been told is kept
        with self._lock:
            self._pieces.truncate(size)

    def sync(self) -> None:
        self._lease.ensure_held()
        with self._lock:
            self._pieces.wait_all()
        self._lease.ensure_held()  # else another may go on from where they are not

    def update(self, record: bytes, length: int | None = None) -> None:  # noqa: ARG002
        self._etag = records.replace(self._bucket, self._record, record, self._etag)

    def end(self, record: bytes) -> None:
        self.update(record)
        with self._lock:
            self._pieces.remove()

    def publish(self, name: FileName, content: Content) -> StoredFile:
        self._lease.renew_now()
        try:
            with self._lock:
                return self._pieces.publish(
                    self._metadata, name, content, self._upload, self._lease.renew_now
                )
        except NameTaken:
            # A process may have died between this very publication and its answer.
            head = reservation.file_at(self._bucket, name)
            if not head or head.metadata.get(ID) != self._upload:
                self._lease.renew_now()  # it may be another process of the same upload that has it
                raise
            return self._metadata.describe(name, head)

    def close(self) -> None:
        self._heart.remove(self._send_rest)
        self._heart.remove(self._lease.renew)
        with self._lock:
            self._pieces.close()
        self._lease.release()
