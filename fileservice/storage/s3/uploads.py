"""S3Uploads: uploads that outlive connections, processes and machines, as objects.

    .fileservice/uploads/ID/record      the record, always replaced whole
    .fileservice/uploads/ID/OFFSET      the bytes (see pieces)
    .fileservice/leases/ID              the one writer, while there is one (see lease)
    .fileservice/claims/ID              somebody asks the writer to let go

The offset is what the pieces make together and is written down nowhere else.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress

from fileservice.names import FileName
from fileservice.storage.base import (
    Content,
    Kept,
    Locked,
    NameTaken,
    NoSuchUpload,
    StorageError,
    StoredFile,
)
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.bucket import Bucket, Entry
from fileservice.storage.s3.description import Facts, new_id
from fileservice.storage.s3.faults import Missing
from fileservice.storage.s3.lease import LEASES, Heart, Lease, told
from fileservice.storage.s3.pieces import Pieces, contiguous, end_of

UPLOADS = ".fileservice/uploads/"
CLAIMS = ".fileservice/claims/"
_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = "record"
_CLAIM_SECONDS = 10.0
_QUIET_SECONDS = 1.0
_KEPT_BACK_SECONDS = 5.0
"""After so long without a byte, or with bytes that trickle in, what is in memory is sent."""


class S3Uploads:
    """See `storage.base.Uploads`."""

    def __init__(self, bucket: Bucket, facts: Facts) -> None:
        self._bucket = bucket
        self._facts = facts
        self._heart = Heart()

    def create(self, record: bytes, length: int | None) -> str:  # noqa: ARG002  # no room to take
        upload = new_id()
        self._bucket.put(self._folder(upload) + _RECORD, record)
        return upload

    def read(self, upload: str) -> Kept:
        folder = self._folder(upload)
        try:
            head, record = self._bucket.load(folder + _RECORD)
        except Missing:
            raise NoSuchUpload from None
        pieces, _ = contiguous(entries := self._bucket.entries(folder))
        age = min([head.age, *(entry.age for entry in entries)])
        return Kept(record, end_of(pieces), time.time() - max(0.0, age))

    def progress(self, upload: str) -> int:
        entries = self._bucket.entries(self._folder(upload))
        if not entries:
            raise NoSuchUpload
        pieces, _ = contiguous(entries)
        return max(end_of(pieces), told(self._bucket, upload))

    def update(self, upload: str, record: bytes, length: int | None = None) -> None:  # noqa: ARG002
        self._bucket.put(self._folder(upload) + _RECORD, record)

    def open(self, upload: str) -> "S3ResumableWriter":
        folder = self._folder(upload)
        lease = Lease(self._bucket, upload)
        lease.take()
        try:
            entries = self._bucket.entries(folder)
            if not any(entry.key == folder + _RECORD for entry in entries):
                raise NoSuchUpload
            pieces, others = contiguous(entries)
            self._bucket.delete_all([key for key in others if key != folder + _RECORD])
            writer = S3ResumableWriter(
                self._bucket,
                self._facts,
                self._heart,
                lease,
                upload,
                Pieces(self._bucket, folder, pieces),
            )
        except BaseException:
            lease.release()
            raise
        return writer

    def drop_bytes(self, upload: str) -> None:
        folder = self._folder(upload)
        keys = [entry.key for entry in self._bucket.entries(folder)]
        self._bucket.delete_all([key for key in keys if key != folder + _RECORD])

    def remove(self, upload: str) -> None:
        # The record goes first: what has none does not exist, and its bytes are an orphan.
        self._bucket.delete(self._folder(upload) + _RECORD)
        self.drop_bytes(upload)

    def remove_remains(self, upload: str, seconds: float) -> None:
        entries = self._bucket.entries(self._folder(upload))
        if entries and min(entry.age for entry in entries) > seconds:
            self._bucket.delete_all([entry.key for entry in entries])
            self._bucket.delete_all([LEASES + upload])

    def claim(self, upload: str) -> None:
        self._folder(upload)
        self._bucket.put(CLAIMS + upload, b"")

    def claims(self) -> list[str]:
        entries = self._bucket.entries(CLAIMS)
        old = [entry.key for entry in entries if entry.age > _CLAIM_SECONDS]
        if old:
            self._bucket.delete_all(old)  # whoever made them is dead
        return [entry.key.removeprefix(CLAIMS) for entry in entries if entry.key not in old]

    def withdraw(self, upload: str) -> None:
        with suppress(Missing):
            self._bucket.delete(CLAIMS + upload)

    def ids(self) -> Iterator[str]:
        for page in self._bucket.pages(UPLOADS, folders=True):
            for found in page:
                key = found.key if isinstance(found, Entry) else found
                upload = key.removeprefix(UPLOADS).rstrip("/")
                if _ID.fullmatch(upload):
                    yield upload

    @staticmethod
    def _folder(upload: str) -> str:
        if not _ID.fullmatch(upload):
            raise NoSuchUpload
        return f"{UPLOADS}{upload}/"


class S3ResumableWriter:
    """See `storage.base.ResumableWriter`."""

    def __init__(
        self,
        bucket: Bucket,
        facts: Facts,
        heart: Heart,
        lease: Lease,
        upload: str,
        pieces: Pieces,
    ) -> None:
        self._bucket = bucket
        self._facts = facts
        self._heart = heart
        self._lease = lease
        self._upload = upload
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
        if self._lease.lost:
            raise Locked
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
                    self._pieces.flush()
                    self._flushed = now
            finally:
                self._lock.release()

    def read_at(self, count: int, offset: int) -> bytes:
        return self._pieces.read_at(count, offset)

    def sight(self) -> AbstractContextManager[int]:
        return self._pieces.sight()

    def truncate(self, size: int) -> None:
        self._lease.assure()  # else it would remove what another has been told is kept
        with self._lock:
            self._pieces.truncate(size)

    def sync(self) -> None:
        with self._lock:
            self._pieces.land()

    def publish(self, name: FileName, content: Content) -> StoredFile:
        self._lease.assure()
        try:
            with self._lock:
                return self._pieces.publish(self._facts, name, content, self._upload)
        except NameTaken:
            # A process may have died between this very publication and its answer.
            if reservation.identity_at(self._bucket, name) != self._upload:
                self._lease.assure()  # it may be another process of the same upload that has it
                raise
            return self._facts.describe(name, self._bucket.head(name))

    def close(self) -> None:
        self._heart.remove(self._send_rest)
        self._heart.remove(self._lease.renew)
        with self._lock:
            self._pieces.wait()
        self._lease.release()
