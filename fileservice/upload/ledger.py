"""Ledger: the uploads that can be resumed, as their records and bytes in the store tell of them."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fileservice.storage import (
    Kept,
    Locked,
    NoSuchUpload,
    ResumableWriter,
    StorageError,
    Uploads,
    in_full,
)
from fileservice.upload.census import UNBEGUN_SECONDS
from fileservice.upload.offloading import Offload
from fileservice.upload.records import Record, Unreadable

_log = logging.getLogger(__name__)
_EXPIRED = "the upload has expired; begin it anew"


class Gone(Exception):
    """The upload is no more: it was refused, or has expired; ``str(error)`` says why."""


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
        complete = self.offset == record.length and not record.awaits_word
        return record.open and bool(record.name) and complete


class Ledger:
    """Reads and writes the records; `expiry` is for how many seconds an untouched one counts."""

    def __init__(self, uploads: Uploads, offload: Offload, expiry: float) -> None:
        self._uploads = uploads
        self._offload = offload
        self._expiry = expiry

    def read(self, upload: str) -> Status:
        """How an upload stands, in bytes that outlast a power cut. Raises NoSuchUpload, Gone."""
        return self._offload(self._read, upload)

    def save(self, writer: ResumableWriter, record: Record, length: int | None = None) -> None:
        """Replace the record; a `length` that is known only now has its room taken."""
        self._offload(writer.update, record.to_bytes(), length)

    def end(self, writer: ResumableWriter, record: Record) -> None:
        """Keep only the record, which says how the upload ended."""
        self._offload(writer.end, record.to_bytes())

    def refuse(self, writer: ResumableWriter, found: Status, refusal: Exception) -> None:
        """End an upload, and keep the reason for those who ask for it later."""
        self.end(writer, replace(found.record, gone=str(refusal)))

    def remove(self, upload: str) -> None:
        """Remove all of an upload."""
        self._offload(self._uploads.remove, upload)

    def advanced(self, found: Status, offset: int) -> Status:
        """The same upload, to which bytes were just added."""
        return replace(found, offset=offset, expires=self.expires_from_now())

    def expires_from_now(self) -> float:
        """When an upload expires that is not touched any more, in Unix seconds."""
        return time.time() + self._expiry

    def sweep(self) -> None:
        """Remove what nobody has touched for longer than the expiry."""
        self.sweep_all(self._uploads.ids())

    def sweep_all(self, uploads: Iterable[str]) -> None:
        """Remove those of `uploads` that have expired."""
        for upload in uploads:
            try:
                self._sweep(upload)
            except StorageError as error:
                _log.warning("the upload %s could not be looked after: %s", upload, in_full(error))

    def _sweep(self, upload: str) -> None:
        try:
            self._read(upload)
        except Gone:
            pass
        except NoSuchUpload:
            self._uploads.remove_remains(upload, self._expiry)

    def _read(self, upload: str) -> Status:
        kept = self._uploads.read(upload)
        try:
            record = Record.from_bytes(kept.record)
        except Unreadable:
            raise NoSuchUpload from None
        expires = kept.touched + self._lifetime(record, kept)
        if expires < time.time() and self._expire(upload, record, kept):
            raise Gone(record.gone or _EXPIRED)
        if record.gone:
            raise Gone(record.gone)
        if record.finished:
            offset = record.finished.size
        else:
            offset = kept.size if record.proved is None else min(kept.size, record.proved)
        return Status(upload, record, offset, expires)

    def _lifetime(self, record: Record, kept: Kept) -> float:
        unbegun = record.open and not kept.size
        return min(UNBEGUN_SECONDS, self._expiry) if unbegun else self._expiry

    def _expire(self, upload: str, record: Record, kept: Kept) -> bool:
        """Drop the bytes; the record tells of it for as long again, then it goes, too.

        That of an upload without a byte goes at once, for there may be very many of them.
        """
        if not record.open:
            self._uploads.remove(upload)
            return True
        try:
            writer = self._uploads.open(upload)
        except Locked:
            return False  # somebody is at it
        try:
            now = self._uploads.read(upload)
            if (now.record, now.size) != (kept.record, kept.size):
                return False  # somebody was at it
            if kept.size:
                writer.end(replace(record, gone=_EXPIRED).to_bytes())
            else:
                self._uploads.remove(upload)
            return True
        finally:
            writer.close()
