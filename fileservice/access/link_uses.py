"""Uses: how often the file of a link may still be downloaded. Values, and functions of them.

A use is taken when the first bytes of the file are about to be sent, and given back if fewer than
half of them leave the server. All requests of one download count once: those for ranges of the
file, and those that a client repeats because the transfer broke off. Which of them belong together
is decided by who the client is, and by time:

taken ──────── whole file sent ──────> finished: the client may fetch the end of the file once more
  │ └───────── a range sent ─────────> open for OPEN_SECONDS after its last transfer, then finished
  └─── less than half was sent ──────> given back

A use that is open counts as much as one that is finished. A process that dies leaves its transfers
under way for ever, so those keep a use open for no longer than LONGEST_TRANSFER. Uses that can
neither be continued nor given back are kept as one entry with their number.
"""

from dataclasses import dataclass, replace
from enum import Enum

OPEN_SECONDS = 600
"""For so long, a client may continue a download of which no transfer is under way."""
LONGEST_TRANSFER = 86_400
"""Seconds after which a transfer is taken for one whose process has died."""
_SECOND = 1_000_000_000


class Outcome(Enum):
    """What came of a transfer of bytes of the file."""

    WHOLE = "whole"
    """All bytes of the file were sent, in one response."""
    PART = "part"
    """Some bytes of the file were sent that the client can put together with others, or most."""
    BROKEN = "broken"
    """The response broke off and has less than half of the file, which is its beginning."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a link; times are in nanoseconds since 1970."""

    client: str
    """Who took it, hashed so that the record says nothing about the client."""
    began: int
    """With the client, this identifies the use."""
    touched: int
    """When a transfer of it last began or ended, until it was finished."""
    transfers: int
    """How many of its transfers are under way."""
    delivered: bool = False
    """Whether a response of it has been sent, so that it can no longer be given back."""
    finished: bool = False
    """Whether the whole file has been sent."""
    count: int = 1
    """How many uses this stands for; more than one only if they are over."""


Uses = tuple[Use, ...]
"""The uses that were taken and not given back, in the order in which they were taken."""


def count_taken(uses: Uses) -> int:
    """Return how many uses are taken, by whomever."""
    return sum(use.count for use in uses)


def is_used_up(uses: Uses, limit: int, now: int) -> bool:
    """Return whether no use is left, and none can be continued or given back any more."""
    return count_taken(uses) >= limit and all(_seconds_left(use, now) <= 0 for use in uses)


def left(uses: Uses, limit: int, client: str, now: int) -> int:
    """Return how many downloads a client could begin, one that it may repeat or continue included.

    `now` is in nanoseconds since 1970.
    """
    own = _find(uses, client, now, resumes=False)
    return max(0, limit - count_taken(uses)) + (own is not None)


def take(uses: Uses, limit: int, client: str, now: int, *, resumes: bool) -> Uses | None:
    """Return the uses with a transfer that begins; None if the client has none and none are left.

    The use is the `last_of` the client then. A request `resumes` a download if it asks for no byte
    of the beginning of the file. If it does, it may also belong to a use that is finished: a server
    learns that bytes have left it, and not that they have arrived.
    """
    found = _find(uses, client, now, resumes=resumes)
    if found:
        touched = found.touched if found.finished else now
        begun = replace(found, touched=touched, transfers=found.transfers + 1)
        # It becomes the last one of the client.
        return (*(use for use in uses if use is not found), begun)
    if count_taken(uses) >= limit:
        return None
    return (*_merge_over(uses, now), Use(client, now, now, transfers=1))


def last_of(uses: Uses, client: str) -> Use | None:
    """Return the use that a client took or continued last."""
    return next((use for use in reversed(uses) if use.client == client), None)


def end_transfer(uses: Uses, taken: Use, now: int, outcome: Outcome) -> Uses:
    """Return the uses after a transfer of the use `taken` has ended."""
    return tuple(
        ended
        for use in uses
        if (ended := _ended(use, now, outcome) if _is_same(use, taken) else use)
    )


def _merge_over(uses: Uses, now: int) -> Uses:
    """Return the uses, in which those that are over are one entry."""
    going_on = tuple(use for use in uses if _seconds_left(use, now) > 0)
    over = count_taken(uses) - count_taken(going_on)
    if not over:
        return going_on
    return (Use("", 0, 0, 0, delivered=True, finished=True, count=over), *going_on)


def _seconds_left(use: Use, now: int) -> float:
    """Return for how long a use may still be continued, by a request that resumes at least."""
    longest = LONGEST_TRANSFER if use.transfers and not use.finished else OPEN_SECONDS
    return longest - (now - use.touched) / _SECOND


def _ended(use: Use, now: int, outcome: Outcome) -> Use | None:
    """Return the use after one of its transfers has ended; None if it is given back.

    The time of one that is finished stays: fetching the end again does not prolong it.
    """
    transfers = max(0, use.transfers - 1)
    if use.finished:
        return replace(use, transfers=transfers)
    if outcome is Outcome.BROKEN:
        is_given_back = not transfers and not use.delivered
        return None if is_given_back else replace(use, touched=now, transfers=transfers)
    is_whole = outcome is Outcome.WHOLE
    return replace(use, touched=now, transfers=transfers, delivered=True, finished=is_whole)


def _is_same(use: Use, other: Use) -> bool:
    return (use.client, use.began) == (other.client, other.began)


def _find(uses: Uses, client: str, now: int, *, resumes: bool) -> Use | None:
    """Return the use that a client may continue."""
    use = last_of(uses, client)
    if use is None or (use.finished and not resumes):
        return None
    return use if _seconds_left(use, now) > 0 else None
