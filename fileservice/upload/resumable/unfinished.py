"""Census: which uploads are unfinished, and whose they are.

What a record says of its client never changes, so one process reads each of them once. Over a
network even a listing is used for some seconds, and whether an upload has ended is only asked again
where it matters.
"""

import ipaddress
import math
import time
from collections.abc import Iterator

from fileservice.storage import NoSuchUpload, Store, UnfinishedUpload
from fileservice.upload.resumable.record import Record, Unreadable

UNBEGUN_SECONDS = 600.0
"""An upload without a byte counts and is kept for so long: clients begin to send at once."""
_LISTED_SECONDS = 3.0
_RECORDS_AT_ONCE = 50
"""So many records are read for one creation, where each is a request over a network."""


class UnfinishedUploads:
    """The unfinished uploads of a store, as one process knows them. All calls may block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owners: dict[str, str | None] = {}
        """Whose an upload is; None for one that has ended."""
        self._listed: list[UnfinishedUpload] = []
        self._listed_at = self._asked_again_at = -math.inf

    def unfinished(self) -> list[tuple[UnfinishedUpload, str]]:
        """The unfinished uploads that count, each with its owner.

        Over a network those of which this process knows nothing yet are counted as it learns of
        them, some at a time.
        """
        found, to_read = [], _RECORDS_AT_ONCE if self._store.remote else math.inf
        for upload in self._list():
            if _is_unbegun(upload):
                continue  # it goes with the next sweep
            if upload.upload not in self._owners:
                to_read -= 1
            if to_read >= 0 and (owner := self._owner(upload.upload)) is not None:
                found.append((upload, owner))
        return found

    def ask_again(self) -> bool:
        """Ask which uploads have ended since; whether anything may have come of it."""
        now = time.monotonic()
        if not self._store.remote or now - self._asked_again_at < _LISTED_SECONDS:
            return False
        self._asked_again_at, self._listed_at = now, -math.inf
        unfinished = [upload for upload, owner in self._owners.items() if owner is not None]
        for upload in unfinished[:_RECORDS_AT_ONCE]:
            del self._owners[upload]  # for the others to come first the next time
            self._owner(upload)
        return True

    def add(self, upload: str, record: Record) -> None:
        """Count an upload that was created just now."""
        self._owners[upload] = owner_of(record)
        if self._store.remote:
            self._listed.append(UnfinishedUpload(upload, size=None, reserved=0, modified=None))

    def perhaps_unbegun(self) -> Iterator[str]:
        """The uploads that may have had no byte for longer than that is allowed."""
        for upload in self._store.uploads.list_unfinished():
            if upload.size is None and self._owners.get(upload.upload) is not None:
                self._owners.pop(upload.upload, None)  # it may have ended since
            perhaps = upload.size is None or _is_unbegun(upload)
            if perhaps and self._owner(upload.upload) is not None:
                yield upload.upload

    def _list(self) -> list[UnfinishedUpload]:
        now = time.monotonic()
        if not self._store.remote or now - self._listed_at > _LISTED_SECONDS:
            self._listed = list(self._store.uploads.list_unfinished())
            self._listed_at = now
            for failure in set(self._owners) - {upload.upload for upload in self._listed}:
                self._owners.pop(failure, None)
        return self._listed

    def _owner(self, upload: str) -> str | None:
        if upload not in self._owners:
            owner = self._read_owner(upload)
            if owner == "" and not self._store.remote:
                return owner  # it is just begun or ended, or its process has died in the middle
            self._owners[upload] = owner
            return owner
        return self._owners.get(upload)

    def _read_owner(self, upload: str) -> str | None:
        try:
            record = Record.from_bytes(self._store.uploads.read_record(upload))
        except Unreadable:
            return ""
        except NoSuchUpload:
            # The folder of one that is removed may stay, and be listed, over a network.
            return None if self._store.remote else ""
        return owner_of(record) if record.open else None


def owner_of(record: Record) -> str:
    """Who is one client: an address of IPv4, or a network of 64 bits of IPv6."""
    try:
        address = ipaddress.ip_address(record.client)
    except ValueError:  # the peer of a Unix socket has none
        return record.client
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


def _is_unbegun(upload: UnfinishedUpload) -> bool:
    return (
        upload.size == 0
        and upload.modified is not None
        and time.time() - upload.modified > UNBEGUN_SECONDS
    )
