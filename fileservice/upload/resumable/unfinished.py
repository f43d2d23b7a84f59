"""UnfinishedUploads: which uploads are unfinished, and which clients created them.

The client in a record never changes, so a process reads each record once. Over a network, a listing
is used for some seconds, and whether an upload has ended is only read again if it matters.
"""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from fileservice.addresses import client_key
from fileservice.storage import NoSuchUpload, Store, UnfinishedUpload
from fileservice.upload.resumable.record import UnreadableRecord, UploadRecord
from fileservice.upload.resumable.repository import EMPTY_UPLOAD_EXPIRY

_LISTING_SECONDS = 3.0
_MAX_READS = 50
"""How many records are read for one creation if each is a request over a network."""
_UNKNOWN = ""
"""The client of an upload whose record cannot be read, or that has no address."""


class HeldReservation(NamedTuple):
    """What an unfinished upload has reserved of the quota of its owner."""

    owner: str
    name: str
    size: int
    files: int


def held_reservations(store: Store) -> Iterator[HeldReservation]:
    """Return what all unfinished uploads have reserved. Blocks, for a read of each record."""
    for upload in store.uploads.list_unfinished():
        with suppress(UnreadableRecord, NoSuchUpload):
            record = UploadRecord.from_bytes(store.uploads.read_record(upload.upload))
            if record.reservation and not record.state.has_ended:
                size = record.length if record.length is not None else upload.size
                if size is None:
                    size = store.uploads.bytes_written(upload.upload)
                yield HeldReservation(record.owner, record.reservation, size, record.files)


class UnfinishedUploads:
    """The unfinished uploads of a store, as one process knows them. Every call may block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clients: dict[str, str | None] = {}
        """The client of each known upload; None for an upload that has ended."""
        self._listing: list[UnfinishedUpload] = []
        self._listed_at = self._refreshed_at = -math.inf

    def counted(self) -> list[tuple[UnfinishedUpload, str]]:
        """Return the unfinished uploads that count, each with the key of its client.

        Over a network, an upload is not counted before its record was read, and one call reads only
        some records.
        """
        counted, reads_left = [], _MAX_READS if self._store.remote else math.inf
        for upload in self._list():
            if _is_expired_and_empty(upload):
                continue  # the next sweep removes it
            if upload.upload not in self._clients:
                reads_left -= 1
            if reads_left >= 0 and (client := self._client(upload.upload)) is not None:
                counted.append((upload, client))
        return counted

    def refresh(self) -> bool:
        """Over a network, read again which uploads have ended; return whether that was done."""
        now = time.monotonic()
        if not self._store.remote or now - self._refreshed_at < _LISTING_SECONDS:
            return False
        self._refreshed_at, self._listed_at = now, -math.inf
        unfinished = [upload for upload, client in self._clients.items() if client is not None]
        for upload in unfinished[:_MAX_READS]:
            del self._clients[upload]  # moves it to the end, so that others come first next time
            self._client(upload)
        return True

    def add(self, upload: str, record: UploadRecord) -> None:
        """Count an upload that was just created."""
        self._clients[upload] = client_key(record.client)
        if self._store.remote:
            self._listing.append(UnfinishedUpload(upload, size=None, reserved=0, modified=None))

    def empty_candidates(self) -> Iterator[str]:
        """Return the uploads that may have expired without a byte."""
        for upload in self._store.uploads.list_unfinished():
            if upload.size is None and self._clients.get(upload.upload) is not None:
                self._clients.pop(upload.upload, None)  # it may have ended since
            is_candidate = upload.size is None or _is_expired_and_empty(upload)
            if is_candidate and self._client(upload.upload) is not None:
                yield upload.upload

    def _list(self) -> list[UnfinishedUpload]:
        now = time.monotonic()
        if not self._store.remote or now - self._listed_at > _LISTING_SECONDS:
            self._listing = list(self._store.uploads.list_unfinished())
            self._listed_at = now
            for removed in set(self._clients) - {upload.upload for upload in self._listing}:
                self._clients.pop(removed, None)
        return self._listing

    def _client(self, upload: str) -> str | None:
        if upload not in self._clients:
            client = self._read_client(upload)
            if client == _UNKNOWN and not self._store.remote:
                # The upload was just created or removed, or its process died meanwhile.
                return client
            self._clients[upload] = client
            return client
        return self._clients.get(upload)

    def _read_client(self, upload: str) -> str | None:
        try:
            return _client_of(UploadRecord.from_bytes(self._store.uploads.read_record(upload)))
        except UnreadableRecord:
            return _UNKNOWN
        except NoSuchUpload:
            # Over a network, the folder of an upload that was removed may stay in listings.
            return None if self._store.remote else _UNKNOWN


def _client_of(record: UploadRecord) -> str | None:
    return None if record.state.has_ended else client_key(record.client)


def _is_expired_and_empty(upload: UnfinishedUpload) -> bool:
    if upload.size != 0 or upload.modified is None:
        return False
    return time.time() - upload.modified > EMPTY_UPLOAD_EXPIRY
