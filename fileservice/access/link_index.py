"""LinkIndex: which links one maker has, and until when each is kept."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from fileservice.access.errors import TooManyLinks
from fileservice.access.links import KEPT_SECONDS, Link

_CREATION_SECONDS = 3600
"""A link that has no record after so many seconds will never have one: its process has died."""


class LinkEntry(NamedTuple):
    """One link; both times are in seconds since 1970."""

    created: int
    over: int | None
    """When the link was or will be over; None if it lasts until it is revoked."""

    @classmethod
    def of(cls, link: Link) -> Self:
        return cls(link.created, link.over)


@dataclass(frozen=True, slots=True)
class LinkIndex:
    """The links of one maker, by their ids. Every change makes a new index."""

    entries: Mapping[str, LinkEntry] = field(default_factory=dict)

    def add(self, link: Link, now: float, limit: int) -> Self:
        """Return the index with one more link; it may lack one that was over. Raise TooManyLinks.

        `limit` is how many links it may have.
        """
        entries = dict(self.entries)
        if len(entries) >= limit:
            over = [(e.over, link_id) for link_id, e in entries.items() if e.over and e.over <= now]
            if not over:
                raise TooManyLinks(limit)
            del entries[min(over)[1]]
        return type(self)(entries | {link.id: LinkEntry.of(link)})

    def replace(self, link: Link) -> Self:
        """Return the index after the link has changed, if it has the link."""
        if link.id not in self.entries:
            return self
        return type(self)({**self.entries, link.id: LinkEntry.of(link)})

    def end(self, link_ids: Collection[str], now: float) -> Self:
        """Return the index in which these links are over since now, unless they were before."""
        ended = {
            link_id: entry._replace(over=int(now))
            for link_id, entry in self.entries.items()
            if link_id in link_ids and (entry.over is None or entry.over > now)
        }
        return type(self)({**self.entries, **ended})

    def remove(self, link_ids: Collection[str]) -> Self:
        """Return the index without these links."""
        return type(self)({i: entry for i, entry in self.entries.items() if i not in link_ids})

    def forgotten(self, recorded: Collection[str], now: float) -> list[str]:
        """Return the links that need not be known any more.

        `recorded` are the ids of the links of all makers that had records at the time `now`.
        """
        return [
            link_id
            for link_id, entry in self.entries.items()
            if (entry.over is not None and entry.over + KEPT_SECONDS <= now)
            or (link_id not in recorded and entry.created + _CREATION_SECONDS <= now)
        ]

    def to_bytes(self) -> bytes:
        """Return the index as JSON."""
        return json.dumps(self.entries, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Self:
        """Return the index that `to_bytes` turned into `data`; an empty one if there is none.

        One that is damaged counts as none: its links work nevertheless, and are listed with all.
        """
        try:
            entries: dict[str, list[int]] = json.loads(data) if data else {}
            return cls({link_id: LinkEntry(*entry) for link_id, entry in entries.items()})
        except (ValueError, TypeError, AttributeError):
            return cls()
