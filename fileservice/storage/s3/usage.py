"""S3UsageRecords: what is counted of the files of each owner, in an object for each of them.

A record is created with If-None-Match: * and replaced with If-Match (PutObject), so that of two
processes that change it at the same time, one reads it again. The requests of one process do not
compete with each other: they take turns.
"""

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from fileservice.names import BadName, FileName
from fileservice.storage.errors import Busy
from fileservice.storage.files import OwnedFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import USAGE, new_id
from fileservice.storage.s3.listing import ListedObject, list_objects, list_pages
from fileservice.storage.s3.metadata import MetadataStore

_COMPETITION_SECONDS = 20.0
_CONCURRENT_REQUESTS = 8
_KNOWN_CHANGES = 16
"""How many changes the first line of an object names, the latest first."""


class S3UsageRecords:
    """See `interface.UsageRecords`."""

    def __init__(self, client: S3Client, metadata_store: MetadataStore) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def update(self, owner: str, change: Callable[[bytes | None], bytes | None]) -> None:
        key = _key(owner)
        deadline = time.monotonic() + _COMPETITION_SECONDS
        with self._turns[key]:
            while time.monotonic() < deadline:
                stored = self._read(key)
                record = change(stored.record)
                if record is None or self._replace(key, stored, record):
                    return
        raise Busy("too many uploads of one owner begin and end at the same time")

    def read(self, owner: str) -> bytes | None:
        return self._read(_key(owner)).record

    def records(self) -> Iterator[bytes]:
        for listed in list_objects(self._client, USAGE):
            record = self._read(listed.key).record
            if record is not None:
                yield record

    def owned_files(self) -> Iterator[OwnedFile]:
        with ThreadPoolExecutor(_CONCURRENT_REQUESTS) as threads:
            for page in list_pages(self._client, folders=True):
                objects = [listed for listed in page if isinstance(listed, ListedObject)]
                yield from filter(None, threads.map(self._owned_file, objects))

    def _owned_file(self, listed: ListedObject) -> OwnedFile | None:
        try:
            name = FileName.parse(listed.key)
            head = self._client.head_object(listed.key)
        except (BadName, ObjectMissing):
            return None
        if reservation.is_reservation(head):
            return None
        owner = self._metadata_store.describe(name, head).owner
        return OwnedFile(owner, head.size) if owner else None

    def _read(self, key: str) -> "_Stored":
        try:
            head, data = self._client.read_object(key)
        except ObjectMissing:
            return _Stored(None, "", [])
        changes, _, record = data.partition(b"\n")
        return _Stored(record, head.etag, changes.split())

    def _replace(self, key: str, stored: "_Stored", record: bytes) -> bool:
        """Replace what was read; return False if another process has replaced it before."""
        own = new_id().encode()
        changes = [own, *stored.changes][:_KNOWN_CHANGES]
        try:
            self._client.put_object(
                key,
                b" ".join(changes) + b"\n" + record,
                if_match=stored.etag or None,
                if_none_match=None if stored.etag else "*",
            )
        except (PreconditionFailed, ObjectMissing) as error:
            # If an earlier answer was lost, the change may have been made, and others since.
            return error.repeated and own in self._read(key).changes
        return True


class _Stored(NamedTuple):
    """The record in an object, its ETag, which is empty if there is none, and its last changes."""

    record: bytes | None
    etag: str
    changes: list[bytes]


def _key(owner: str) -> str:
    return USAGE + hashlib.sha256(owner.encode()).hexdigest()[:32]
