"""Ledger: the uploads that can be resumed, as their records and bytes in the store tell of them."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fileservice.executor import Executor
from fileservice.storage import (
    Locked,
    NoSuchUpload,
    ResumableWriter,
    StorageError,
    Store,
    StoredUpload,
    describe_error,
)
from fileservice.upload.errors import UploadGone
from fileservice.upload.resumable.record import Record, Unreadable
from fileservice.upload.resumable.unfinished import UNBEGUN_SECONDS

_log = logging.getLogger(__name__)
_EXPIRED = "the upload has expired; begin it anew"


@dataclass(frozen=True, slots=True)
class Status:
    """How an upload stands: bytes that are there, and when it expires (Unix seconds)."""

    upload: str
    record: Record
    offset: int
    expires: float

    @property
    def ready(self) -> bool:
        """Whether all bytes of a file are there, and it is neither published nor gone."""
        record = self.record
        complete = self.offset == record.length and not record.explicit_completion
        return record.open and bool(record.name) and complete


class UploadRepository:
    """Reads and writes the records; `expiry` is for how many seconds an untouched one counts."""

    def __init__(self, store: Store, executor: Executor, expiry: float) -> None:
        self._uploads = store.uploads
        self._locker = store.locker
        self._executor = executor
        self._expiry = expiry

    def read(self, upload: str) -> Status:
        """How an upload stands, in bytes that outlast a power cut. Raises NoSuchUpload, Gone."""
        return self._executor.run_io(self._read, upload)

    def save(self, writer: ResumableWriter, record: Record, length: int | None = None) -> None:
        """Replace the record; a `length` that is known only now has its room taken."""
        self._executor.run_io(writer.update, record.to_bytes(), length)

    def end(self, writer: ResumableWriter, record: Record) -> None:
        """Keep only the record, which says how the upload ended."""
        self._executor.run_io(writer.end, record.to_bytes())

    def end_published(self, upload: str, writer: ResumableWriter, record: Record) -> None:
        """End an upload whose file is published, which it stays if the record cannot be written."""
        try:
            self.end(writer, record)
        except StorageError as error:
            _log.warning(
                "the upload %s was published but not ended: %s", upload, describe_error(error)
            )

    def refuse(self, writer: ResumableWriter, found: Status, refusal: Exception) -> None:
        """End an upload, and keep the reason for those who ask for it later."""
        self.end(writer, replace(found.record, failure=str(refusal)))

    def remove(self, upload: str) -> None:
        """Remove all of an upload."""
        self._executor.run_io(self._uploads.remove, upload)

    def advanced(self, found: Status, offset: int) -> Status:
        """The same upload, to which bytes were just added."""
        return replace(found, offset=offset, expires=self.expires_from_now())

    def expires_from_now(self) -> float:
        """When an upload expires that is not touched any more, in Unix seconds."""
        return time.time() + self._expiry

    def sweep(self) -> None:
        """Remove what nobody has touched for longer than the expiry."""
        self.sweep_all(self._uploads.list_ids())

    def sweep_all(self, uploads: Iterable[str]) -> None:
        """Remove those of `uploads` that have expired."""
        for upload in uploads:
            try:
                self._sweep(upload)
            except StorageError as error:
                _log.warning(
                    "the upload %s could not be looked after: %s", upload, describe_error(error)
                )

    def _sweep(self, upload: str) -> None:
        try:
            self._read(upload)
        except UploadGone:
            pass
        except NoSuchUpload:
            self._uploads.remove_unreadable(upload, self._expiry)

    def _read(self, upload: str) -> Status:
        stored = self._uploads.read(upload)
        try:
            record = Record.from_bytes(stored.record)
        except Unreadable:
            raise NoSuchUpload from None
        expires = stored.modified + self._lifetime(record, stored)
        if expires < time.time() and self._expire(upload, record, stored):
            raise UploadGone(record.failure or _EXPIRED)
        if record.failure:
            raise UploadGone(record.failure)
        if record.finished:
            offset = record.finished.size
        else:
            offset = (
                stored.size
                if record.verified_size is None
                else min(stored.size, record.verified_size)
            )
        return Status(upload, record, offset, expires)

    def _lifetime(self, record: Record, stored: StoredUpload) -> float:
        unbegun = record.open and not stored.size
        return min(UNBEGUN_SECONDS, self._expiry) if unbegun else self._expiry

    def _expire(self, upload: str, record: Record, stored: StoredUpload) -> bool:
        """Drop the bytes; the record tells of it for as long again, then it goes, too.

        That of an upload without a byte goes at once, for there may be very many of them.
        """
        if not record.open:
            self._uploads.remove(upload)
            return True
        try:
            writer = self._locker.lock(upload)
        except Locked:
            return False  # somebody is at it
        try:
            now = self._uploads.read(upload)
            if (now.record, now.size) != (stored.record, stored.size):
                return False  # somebody was at it
            if stored.size:
                writer.end(replace(record, failure=_EXPIRED).to_bytes())
            else:
                self._uploads.remove(upload)
            return True
        finally:
            writer.close()
