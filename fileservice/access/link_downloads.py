"""Downloads by a link: a use is taken before the first byte is sent, and given back if it fails."""

import time
from dataclasses import dataclass, replace

from fileservice.access.errors import LinkGone
from fileservice.access.link_store import LinkStore
from fileservice.access.link_uses import Outcome, Use, end_transfer, last_of, left, take
from fileservice.access.links import Link


@dataclass(frozen=True, slots=True)
class LinkTransfer:
    """Bytes of the file of a link that are about to be sent to one client."""

    link_id: str
    use: Use

    @property
    def is_first(self) -> bool:
        """Whether the use was taken for it; otherwise it continues one."""
        return self.use.transfers == 1 and self.use.touched == self.use.began


def uses_left(link: Link, client: str) -> int | None:
    """Return how many downloads a client could begin by a link; None for any number.

    `client` identifies it: see `link_uses.Use`.
    """
    limit = link.download.uses if link.download else None
    return None if limit is None else left(link.uses, limit, client, time.time_ns())


def begin_transfer(
    links: LinkStore, link: Link, client: str, *, resumes: bool
) -> LinkTransfer | None:
    """Take a use of the link in one atomic step, or continue the one that the client has.

    Return None if the link has any number of uses. `resumes` is explained in `link_uses.take`.
    Raise LinkGone if no use is left or the link is over by now, NoSuchLink, StorageError. Blocks.
    """
    limit = link.download.uses if link.download else None
    if limit is None:
        return None

    def begin(current: Link) -> Link:
        now = time.time_ns()
        current.require_valid(now / 1e9)
        uses = take(current.uses, limit, client, now, resumes=resumes)
        if uses is None:
            raise LinkGone
        return replace(current, uses=uses)

    use = last_of(links.update(link.id, begin).uses, client)
    assert use
    return LinkTransfer(link.id, use)


def end_of_transfer(links: LinkStore, transfer: LinkTransfer, outcome: Outcome) -> None:
    """Finish or give back the use, whatever became of the link. Raises StorageError. Blocks."""

    def end(current: Link) -> Link:
        uses = end_transfer(current.uses, transfer.use, time.time_ns(), outcome)
        return replace(current, uses=uses)

    links.update(transfer.link_id, end)
