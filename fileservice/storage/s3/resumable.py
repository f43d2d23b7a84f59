"""S3ResumableWriter: the only writer of a resumable upload.

Its lease makes it the only one, and that is verified where it matters: pieces are created only
where there are none, the record is replaced only while it has the ETag that this writer knows, and
the lease is renewed before bytes are removed or published.
"""

import threading
import time
from contextlib import AbstractContextManager, suppress

from fileservice.names import FileName
from fileservice.storage.errors import NameTaken, NotFound, StorageError, VersionChanged
from fileservice.storage.files import Content, Owner, StoredFile
from fileservice.storage.s3 import assembly, records, reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.expiry_index import ExpiryIndex
from fileservice.storage.s3.heartbeat import Heartbeat
from fileservice.storage.s3.lease import Lease
from fileservice.storage.s3.metadata import ID, MetadataStore, content_type_of, metadata_of
from fileservice.storage.s3.objects import ObjectHead
from fileservice.storage.s3.pieces import Pieces
from fileservice.storage.s3.replacement import Replacement, replacement_of


class S3ResumableWriter:
    """See `interface.ResumableWriter`."""

    def __init__(
        self,
        client: S3Client,
        metadata_store: MetadataStore,
        heartbeat: Heartbeat,
        expiry_index: ExpiryIndex,
        *,
        upload: str,
        lease: Lease,
        record_etag: str,
        pieces: Pieces,
    ) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._heartbeat = heartbeat
        self._expiry_index = expiry_index
        self._upload = upload
        self._lease = lease
        self._record_etag = record_etag
        self._pieces = pieces
        self._lease.size = pieces.size
        self.replaced: StoredFile | None = None
        self.sync_seconds = 0.0
        self._lock = threading.Lock()
        """Held while pieces are written or removed."""
        self._written = self._flushed = time.monotonic()
        """When bytes were received last, and since when there have been bytes in memory."""
        heartbeat.add(lease.renew)
        heartbeat.add(self._flush_if_due)

    @property
    def size(self) -> int:
        return self._pieces.size

    def write(self, block: bytes | memoryview) -> None:
        self._lease.ensure_held()
        with self._lock:
            if not self._pieces.buffered:
                self._flushed = time.monotonic()
            self._pieces.write(block)
            self._written = time.monotonic()
        self._lease.size = self._pieces.size

    def _flush_if_due(self) -> None:
        """Send the bytes in memory if the client sends slowly. Raises nothing."""
        now, timing = time.monotonic(), self._client.timing
        due = now - self._written > timing.flush_idle or now - self._flushed > timing.flush
        if due and self._lock.acquire(blocking=False):  # otherwise a call is using the pieces
            try:
                with suppress(StorageError):  # the next call raises it as well
                    # If the process was suspended, these bytes may belong to no upload any more.
                    self._lease.ensure_held()
                    self._pieces.flush()
                    self._flushed = now
            finally:
                self._lock.release()

    def read_at(self, count: int, offset: int) -> bytes:
        return self._pieces.read_at(count, offset)

    def descriptor(self) -> AbstractContextManager[int]:
        return self._pieces.descriptor()

    def reopen(self) -> None:
        return None

    def truncate(self, size: int) -> None:
        self._lease.renew_now()  # the bytes may have been acknowledged by another writer
        with self._lock:
            self._pieces.truncate(size)

    def sync(self) -> None:
        self._lease.ensure_held()
        with self._lock:
            self._pieces.wait_all()
        self._lease.ensure_held()  # another writer may have begun before these bytes arrived

    def update(self, record: bytes, length: int | None = None) -> None:  # noqa: ARG002
        self._record_etag = records.replace(self._client, self._upload, record, self._record_etag)

    def end(self, record: bytes) -> None:
        self.update(record)
        with self._lock:
            self._pieces.remove()

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
        metadata = metadata_of(content, owner, expires, event) | {ID: self._upload}
        target = reservation.Target(name, content_type_of(content), metadata)
        replacement = replacement_of(
            self._client, self._metadata_store, self._expiry_index, name, replaces
        )
        self._lease.renew_now()
        with self._expiry_index.entry(name, expires, self._upload):
            head = self._publish(target, replacement)
        self.replaced = replacement.replaced if replacement else None
        return self._metadata_store.describe(name, head)

    def _publish(self, target: reservation.Target, replacement: Replacement | None) -> ObjectHead:
        try:
            with self._lock:
                return assembly.publish(
                    self._client,
                    self._pieces,
                    target,
                    replacement=replacement,
                    before_completion=self._lease.renew_now,
                )
        except NameTaken:
            # An earlier process may have published this very upload and died before it said so.
            file = reservation.find_file(self._client, target.name)
            if not file or file.metadata.get(ID) != self._upload:
                self._lease.renew_now()  # another writer of this upload may be about to publish it
                raise
            return file
        except (VersionChanged, NotFound):
            self._lease.renew_now()  # likewise
            raise

    def close(self) -> None:
        self._heartbeat.remove(self._flush_if_due)
        self._heartbeat.remove(self._lease.renew)
        with self._lock:
            self._pieces.close()
        self._lease.release()
