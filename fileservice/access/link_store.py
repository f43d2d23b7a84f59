"""LinkStore: links are made here, are found by their secrets, and change one step at a time.

    links/ID                 the record of a link
    links-of-makers/HASH     the ids of the links of one maker (link_index)

The id of a link is in the second file before its record exists and until it is removed, so that a
process that dies in between leaves nothing that no maker has.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator

from fileservice.access.errors import NoSuchLink, TooManyLinks
from fileservice.access.link_index import LinkIndex
from fileservice.access.link_records import from_bytes, to_bytes
from fileservice.access.links import (
    DownloadGrant,
    Link,
    Maker,
    MakerKind,
    UploadGrant,
    digest_of,
    id_of,
    principal_id,
)
from fileservice.storage import PrivateFiles

MAX_LINKS = 1000
"""How many links a maker may have that are not over."""
_RECORDS, _INDEX = "links", "links-of-makers"
_SECRET_BYTES = 32
_UNKNOWN = Link(
    id="",
    digest=secrets.token_bytes(32),
    maker=Maker(MakerKind.OPERATOR),
    created=0,
    upload=UploadGrant("a prefix of usual length-", files=5, bytes=1 << 30),
)
_RECORD_OF_UNKNOWN = to_bytes(_UNKNOWN)
"""What is read in place of the record of a link that does not exist, as that takes some time."""
_ID = re.compile(r"[0-9a-f]{32}")


class LinkStore:
    """The links of a store, over all processes that share it. Every call may block."""

    def __init__(self, files: PrivateFiles) -> None:
        self._files = files

    def create(
        self,
        maker: Maker,
        grant: DownloadGrant | UploadGrant,
        *,
        expires: int | None = None,
        note: str = "",
        password: str = "",
    ) -> tuple[Link, str]:
        """Make a link durably; return it and its secret, which is kept nowhere.

        `expires` is in seconds since 1970. Raise TooManyLinks, StorageError.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        digest = digest_of(secret)
        link = Link(
            id_of(digest),
            digest,
            maker,
            int(time.time()),
            expires,
            note,
            password,
            grant if isinstance(grant, DownloadGrant) else None,
            grant if isinstance(grant, UploadGrant) else None,
        )
        try:
            self._add_to_index(link)
        except TooManyLinks:
            if not self._end_used_up(maker.id):
                raise
            self._add_to_index(link)
        self._files.create(_record(link.id), to_bytes(link))
        return link, secret

    def find(self, secret: str) -> Link:
        """Return the link with this secret, which may have been used up.

        Raise NoSuchLink, LinkGone if it is over, StorageError. The time does not depend on which of
        these is the case, and the lookup is by a hash whose bits a guess does not control. In a
        directory this costs a read of a small file, so it may be called on the event loop.
        """
        digest = digest_of(secret)
        data = self._files.read(_record(id_of(digest)))
        link = from_bytes(_RECORD_OF_UNKNOWN if data is None else data) or _UNKNOWN
        if not hmac.compare_digest(link.digest, digest):
            raise NoSuchLink
        link.require_valid(time.time())
        return link

    def get(self, link_id: str) -> Link:
        """Return the link with this id, over or not. Raise NoSuchLink, StorageError."""
        link = self._read(link_id) if _ID.fullmatch(link_id) else None
        if link is None:
            raise NoSuchLink
        return link

    def update(self, link_id: str, change: Callable[[Link], Link]) -> Link:
        """Replace a link by what `change` makes of it, in one atomic and durable step; return it.

        `change` may be called several times, and what it raises passes through. It may return the
        link that it was given, to change nothing. Raise NoSuchLink, StorageError.
        """
        if not _ID.fullmatch(link_id):
            raise NoSuchLink
        changed: Link | None = None

        def change_record(data: bytes | None) -> bytes | None:
            nonlocal changed
            link = from_bytes(data) if data else None
            if link is None:
                raise NoSuchLink
            changed = change(link)
            return None if changed == link else to_bytes(changed)

        self._files.update(_record(link_id), change_record)
        assert changed is not None
        return changed

    def revoke(self, link_id: str) -> Link:
        """End a link for good. Raise NoSuchLink, StorageError."""
        link = self.update(link_id, lambda link: link.revoke(time.time()))
        self._change_index(link.maker.id, lambda index: index.replace(link))
        return link

    def sweep(self) -> list[str]:
        """Remove the links that have been over for a long time.

        Return the ids of the principals that used them. Raise StorageError.
        """
        removed: list[str] = []
        now, recorded = time.time(), frozenset(self._files.list(_RECORDS))
        for name in self._files.list(_INDEX):
            removed += self._sweep_index(f"{_INDEX}/{name}", recorded, now)
        return [principal_id(link_id) for link_id in removed]

    def list(self, maker: str | None = None) -> Iterator[Link]:
        """Return the links of the maker with this id, or all, in no order. Raise StorageError."""
        ids = (
            self._files.list(_RECORDS) if maker is None else self._read_index(_index(maker)).entries
        )
        for _, data in self._files.read_all(map(_record, ids)):
            if link := from_bytes(data):
                yield link

    def _sweep_index(self, key: str, recorded: Collection[str], now: float) -> Collection[str]:
        forgotten = self._read_index(key).forgotten(recorded, now)
        for link_id in forgotten:
            self._files.remove(_record(link_id))
        if forgotten:
            self._update_index(key, lambda index: index.remove(forgotten))
        return forgotten

    def _add_to_index(self, link: Link) -> None:
        self._change_index(link.maker.id, lambda index: index.add(link, time.time(), MAX_LINKS))

    def _end_used_up(self, maker: str) -> bool:
        """Note in the index which links have been used up; return whether there are any.

        It costs a read of each of them, so it is only done when there is no room for another.
        """
        now = time.time()
        used_up = {link.id for link in self.list(maker) if link.is_used_up(now)}
        self._change_index(maker, lambda index: index.end(used_up, now))
        return bool(used_up)

    def _read(self, link_id: str) -> Link | None:
        data = self._files.read(_record(link_id))
        return from_bytes(data) if data else None

    def _read_index(self, key: str) -> LinkIndex:
        return LinkIndex.from_bytes(self._files.read(key))

    def _change_index(self, maker: str, change: Callable[[LinkIndex], LinkIndex]) -> None:
        """Change the index of a maker, and remove the records that it no longer has."""
        dropped = self._update_index(_index(maker), change)
        for link_id in dropped:
            self._files.remove(_record(link_id))

    def _update_index(self, key: str, change: Callable[[LinkIndex], LinkIndex]) -> set[str]:
        """Change an index in one step, and return the ids that it no longer has."""
        dropped: set[str] = set()

        def change_data(data: bytes | None) -> bytes | None:
            nonlocal dropped
            index = LinkIndex.from_bytes(data)
            changed = change(index)
            dropped = index.entries.keys() - changed.entries.keys()
            return None if changed == index else changed.to_bytes()

        self._files.update(key, change_data)
        return dropped


def _record(link_id: str) -> str:
    """Return the key of the record of a link."""
    return f"{_RECORDS}/{link_id}"


def _index(maker: str) -> str:
    """Return the key of the index of the maker with this id."""
    return f"{_INDEX}/{hashlib.sha256(maker.encode()).hexdigest()[:32]}"
