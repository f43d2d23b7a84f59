"""UploadRepository: the resumable uploads, read from their records and bytes in the store."""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from fileservice.names import FileName
from fileservice.storage import (
    Locked,
    NoSuchUpload,
    NotFound,
    Owner,
    ResumableWriter,
    StorageError,
    StoredUpload,
    describe_error,
)
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import UploadGone
from fileservice.upload.resumable.record import UnreadableRecord, UploadRecord
from fileservice.upload.resumable.state import UploadState
from fileservice.upload.resumable.status import UploadStatus

_log = logging.getLogger(__name__)
_EXPIRED = "the upload has expired; create a new one"

_RESERVATION_MARGIN = 300.0
"""A reservation of the quota outlives its upload by so many seconds at least."""

_SOME_RECORD = UploadRecord(FileName.parse("a.txt"), 1, {}, owner="token:ci").to_bytes()

EMPTY_UPLOAD_EXPIRY = 600.0
"""For how many seconds an upload without a byte is kept and counted; clients send the first byte at
once."""


class LockedUpload(NamedTuple):
    """An upload that nobody else changes until its `writer` is closed."""

    writer: ResumableWriter
    status: UploadStatus
    """Its status when the lock was acquired."""


class UploadRepository:
    """Reads and writes records, and locks uploads.

    An upload is kept for `expiry` seconds after its last change.

    What is reserved of a quota for an upload is released when it ends without a file.
    """

    def __init__(self, context: UploadContext, expiry: float) -> None:
        self._store = context.store
        self._uploads = context.store.uploads
        self._locker = context.store.locker
        self._executor = context.executor
        self._release = context.release_reservation
        self._expiry = expiry

    def read(self, upload: str, owner: str | None = None) -> UploadStatus:
        """Return the status of an upload; its offset counts bytes that survive a power failure.

        Raise NoSuchUpload, also if an `owner` is given and the upload belongs to another, or
        UploadGone.
        """
        return self._executor.run_io(self._read, upload, owner)

    def lock(self, upload: str) -> LockedUpload:
        """Acquire the lock of an upload and read its status. Blocks. Raise as `read`, or Locked."""
        writer = self._locker.lock(upload)
        try:
            return LockedUpload(writer, self._read(upload))
        except BaseException:
            writer.close()
            raise

    def save(
        self, writer: ResumableWriter, record: UploadRecord, length: int | None = None
    ) -> None:
        """Replace the record, and reserve space for `length` bytes if that is given."""
        self._executor.run_io(writer.update, record.to_bytes(), length)

    def end(
        self,
        writer: ResumableWriter,
        status: UploadStatus,
        *,
        may_have_been_published: bool = False,
    ) -> None:
        """Remove the bytes and keep the record, for clients that ask how the upload ended.

        An earlier attempt of an upload that failed may have published its file, which somebody has
        deleted or replaced since.
        """
        self._executor.run_io(writer.end, status.record.to_bytes())
        if status.record.reservation and not status.file:
            self._executor.run_io(self._release_quota, status.record, may_have_been_published)

    def end_published(self, writer: ResumableWriter, status: UploadStatus) -> bool:
        """End an upload whose file is published; return False if the record cannot be written.

        In that case the next request for the upload publishes it again, which changes nothing, and
        ends it.
        """
        try:
            self.end(writer, status)
        except StorageError as error:
            _log.warning(
                "the upload %s was published but not ended: %s",
                status.upload,
                describe_error(error),
            )
            return False
        return True

    def remove(self, status: UploadStatus) -> None:
        """Remove the bytes and the record of an upload."""
        self._executor.run_io(self._uploads.remove, status.upload)
        if status.record.reservation and not status.file:
            self._executor.run_io(self._release_unpublished, status)

    def reservation_seconds(self, size: int) -> float:
        """Return for how long a quota is reserved for an upload that has `size` bytes."""
        expiry = self._expiry if size else min(EMPTY_UPLOAD_EXPIRY, self._expiry)
        return 2 * expiry + _RESERVATION_MARGIN

    def modified_now(self, status: UploadStatus, size: int) -> UploadStatus:
        """Return the status with the expiry it has if its bytes, now `size`, just changed."""
        return replace(status, expires=time.time() + self._lifetime(status.record, size))

    def sweep(self) -> int:
        """Remove the uploads that have expired; return how many were unfinished. Blocks."""
        return self.sweep_all(self._uploads.list_ids())

    def sweep_all(self, uploads: Iterable[str]) -> int:
        """Remove those of `uploads` that have expired; return how many were unfinished. Blocks."""
        removed = 0
        for upload in uploads:
            try:
                removed += self._sweep(upload)
            except StorageError as error:
                _log.warning("the upload %s could not be swept: %s", upload, describe_error(error))
        return removed

    def _sweep(self, upload: str) -> bool:
        """Remove an upload if it has expired; return whether it was unfinished."""
        try:
            status, stored = self._load(upload)
            return (
                status.expires < time.time()
                and self._expire(status, stored)
                and not status.has_ended
            )
        except NoSuchUpload:
            self._uploads.remove_unreadable(upload, self._expiry)
            return False

    def _read(self, upload: str, owner: str | None = None) -> UploadStatus:
        status, stored = self._load(upload, owner)
        record = status.record
        has_expired = status.expires < time.time() and self._expire(status, stored)
        if record.state is UploadState.FAILED:
            raise UploadGone(record.failure)
        if record.state is UploadState.EXPIRED or has_expired:
            raise UploadGone(_EXPIRED)
        return status

    def _load(self, upload: str, owner: str | None = None) -> tuple[UploadStatus, StoredUpload]:
        """Return the status of an upload, whether it has expired or not, and what is stored of it.

        Raise NoSuchUpload, also if it belongs to another than `owner`.
        """
        record: UploadRecord | None = None

        def belongs_to_owner(data: bytes) -> bool:
            nonlocal record
            record = UploadRecord.from_bytes(data)
            return owner is None or record.owner == owner

        try:
            stored = self._uploads.read(upload, belongs_to_owner)
        except UnreadableRecord:
            raise NoSuchUpload from None
        except NoSuchUpload:
            if record is None:  # otherwise this would take less time than if it were another's
                UploadRecord.from_bytes(_SOME_RECORD)
            raise
        assert record
        expires = stored.modified + self._lifetime(record, stored.size)
        return UploadStatus(upload, record, _offset(record, stored), expires), stored

    def _lifetime(self, record: UploadRecord, size: int) -> float:
        is_empty = not record.state.has_ended and not size
        return min(EMPTY_UPLOAD_EXPIRY, self._expiry) if is_empty else self._expiry

    def _expire(self, status: UploadStatus, stored: StoredUpload) -> bool:
        """Remove an expired upload and return True, or return False if it is in use.

        The record of an upload with bytes is kept for the same time again, and says that it
        expired. That of one without is removed, because there may be very many of them.
        """
        upload = status.upload
        if status.has_ended:
            self._uploads.remove(upload)
            return True
        try:
            writer = self._locker.lock(upload)
        except Locked:
            return False
        try:
            current = self._uploads.read(upload)
            if (current.record, current.size) != (stored.record, stored.size):
                return False
            if stored.size:
                writer.end(status.expire().record.to_bytes())
            else:
                self._uploads.remove(upload)
            self._release_unpublished(status)
            return True
        finally:
            writer.close()

    def _release_unpublished(self, status: UploadStatus) -> None:
        """Release the quota, unless the file was published and the record does not say so.

        Then the reservation counts until it lapses, and a recount finds the file.
        """
        if not (status.record.reservation and status.is_publishable and self._is_stored(status)):
            self._release_quota(status.record, status.is_publishable)

    def _is_stored(self, status: UploadStatus) -> bool:
        record = status.record
        assert record.name is not None
        try:
            stored = self._store.stat(record.name)
        except NotFound:
            return False
        except StorageError:
            return True  # for all that is known
        return stored.owner == Owner.of_upload(record.owner, record.reservation)

    def _release_quota(self, record: UploadRecord, may_have_been_published: bool) -> None:
        if record.reservation:
            self._release(record.owner, record.reservation, may_have_been_published)


def _offset(record: UploadRecord, stored: StoredUpload) -> int:
    if record.file:
        return record.file.size
    if record.verified_size is None:
        return stored.size
    return min(stored.size, record.verified_size)
