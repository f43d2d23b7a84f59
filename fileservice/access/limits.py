"""Limits of requests, bytes and failed attempts to authenticate.

They are counted in fixed windows: a window begins with the first request after the last one has
ended, so the time until which a client has to wait is known exactly.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from fileservice.access.counter_table import CounterTable
from fileservice.access.errors import TooManyFailures, TooManyRequests, Unauthenticated
from fileservice.access.principals import PrincipalKind

Limit: TypeAlias = RateLimitItem
"""An amount for a time, such as 100/minute."""

_ACCEPTED_SECONDS = 86400.0
"""For how long credentials that were right are let through while others fail."""
_NOTED_SECONDS = 60.0
_MAX_NOTED = 1024
"""So long, and for so many credentials, a worker does not say again that they were right."""
_REPORT_BYTES = 4 << 20
_REPORT_SECONDS = 0.5
"""A transfer is counted in steps of so many bytes, or after this time."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What one principal may do in a time; the limits of all fields apply together."""

    requests: tuple[Limit, ...] = ()
    bytes: tuple[Limit, ...] = ()
    """In both directions: bytes of the bodies that are received and sent."""


class RateLimiter:
    """Counts the requests and the bytes of each client."""

    def __init__(self, limit: RateLimit, counters: Storage) -> None:
        self._limiter = FixedWindowRateLimiter(counters)
        self._counters = counters
        # The shortest window first: what one limit refuses does not count for the longer ones.
        self._requests = sorted(limit.requests, key=lambda item: item.get_expiry())
        self._bytes = limit.bytes

    def admit(self, client: str) -> None:
        """Count a request. Raise TooManyRequests if it is one too many, or bytes are used up.

        May wait for a network, and must be called where other requests can go on.
        """
        for item in self._bytes:
            if not self._limiter.test(item, "bytes", client):
                raise TooManyRequests(_seconds_left(self._limiter, item, "bytes", client))
        for item in self._requests:
            if not self._limiter.hit(item, "requests", client):
                raise TooManyRequests(_seconds_left(self._limiter, item, "requests", client))

    def meter(self, client: str) -> "ByteMeter | None":
        """Return what counts the bytes of a request as they flow; None if they have no limit."""
        return ByteMeter(self._limiter, self._bytes, client) if self._bytes else None


class ByteMeter:
    """Counts the bytes of one request, which have been received or sent already."""

    def __init__(
        self, limiter: FixedWindowRateLimiter, items: Sequence[Limit], client: str
    ) -> None:
        self._limiter = limiter
        self._items = items
        self._client = client
        self._pending = 0
        self._reported_at = time.monotonic()

    def count(self, size: int) -> None:
        """Count `size` more bytes."""
        self._pending += size
        is_due = time.monotonic() - self._reported_at > _REPORT_SECONDS
        if self._pending >= _REPORT_BYTES or is_due:
            self.flush()

    def flush(self) -> None:
        """Report what is not reported yet, at the end of a request."""
        pending, self._pending = self._pending, 0
        self._reported_at = time.monotonic()
        if pending:
            for item in self._items:
                self._limiter.hit(item, "bytes", self._client, cost=pending)


class FailureLimiter:
    """Limits how often a client may show wrong credentials.

    Once it has done so too often, no credentials from it are checked until the window ends, except
    those that were right before: somebody who guesses must not lock out the others behind the same
    address. Nothing of this waits for Redis until credentials are wrong.
    """

    def __init__(self, limit: Limit, table: CounterTable, counters: Storage) -> None:
        """`table` is asked for each request; `counters` count over all services."""
        self._limit = limit
        self._table = table
        self._counters = counters
        self._noted: dict[tuple[str, str], float] = {}
        """When the credentials of a client are to be noted again, by the monotonic clock."""

    def attempt(self, client: str, credentials: str) -> "Attempt":
        """Return a context in which the credentials of a request are checked.

        It raises TooManyFailures at its begin if they must not be checked. If Unauthenticated is
        raised in it, it counts a failure, and raises TooManyFailures instead if that is one too
        many. To be used for every way of showing credentials that could be guessed; `client` is
        what `addresses.client_key` returns.
        """
        return Attempt(self, client, credentials)

    def is_noted(self, client: str, credentials: str) -> bool:
        """Return whether they were right a moment ago: then it does not matter if others fail."""
        return self._noted.get((client, credentials), 0.0) > time.monotonic()

    def check(self, client: str, credentials: str) -> None:
        """Raise TooManyFailures if these credentials must not be checked."""
        key = _failures_key(client)
        if self._table.get(key) < self._limit.amount:
            return
        if not self._table.get(_accepted_key(client, credentials)):
            raise self._too_many(client, key)

    def accepted(self, client: str, credentials: str) -> None:
        """Remember that these credentials are right."""
        if len(self._noted) >= _MAX_NOTED:
            self._noted.clear()
        self._noted[client, credentials] = time.monotonic() + _NOTED_SECONDS
        self._table.put(_accepted_key(client, credentials), _ACCEPTED_SECONDS)

    def failed(self, client: str, credentials: str) -> None:
        """Count wrong credentials. Raise TooManyFailures if they are one too many."""
        key, accepted_key = _failures_key(client), _accepted_key(client, credentials)
        self._noted.pop((client, credentials), None)
        self._table.clear(accepted_key)
        count = self._table.incr(key, self._limit.get_expiry())
        if self._counters is not self._table:
            common = self._common_key(client)
            count = max(count, self._counters.incr(common, self._limit.get_expiry()))
            if count >= self._limit.amount:
                seconds = self._counters.get_expiry(common) - time.time()
                self._table.put(key, max(1.0, seconds), self._limit.amount)
        if count > self._limit.amount:
            raise self._too_many(client, key)

    def _too_many(self, client: str, key: str) -> TooManyFailures:
        of_link = client.startswith(f"{PrincipalKind.LINK}:")
        return TooManyFailures(_until(self._table.get_expiry(key)), of_link=of_link)

    def _common_key(self, client: str) -> str:
        """Return the key for `counters`, which fall back to the table if Redis fails."""
        return self._limit.key_for("failures of all", client)


class Attempt:
    """A context in which credentials are checked; `FailureLimiter.attempt` returns it."""

    __slots__ = ("_client", "_credentials", "_is_noted", "_limiter")

    def __init__(self, limiter: FailureLimiter, client: str, credentials: str) -> None:
        self._limiter = limiter
        self._client = client
        self._credentials = credentials
        self._is_noted = limiter.is_noted(client, credentials)

    def __enter__(self) -> None:
        if not self._is_noted:
            self._limiter.check(self._client, self._credentials)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is None:
            if not self._is_noted:
                self._limiter.accepted(self._client, self._credentials)
        elif isinstance(error, Unauthenticated):
            self._limiter.failed(self._client, self._credentials)


def _failures_key(client: str) -> str:
    return f"failures/{client}"


def _accepted_key(client: str, credentials: str) -> str:
    return f"accepted/{client}/{credentials}"


def _seconds_left(limiter: FixedWindowRateLimiter, item: Limit, kind: str, client: str) -> int:
    return _until(limiter.get_window_stats(item, kind, client).reset_time)


def _until(moment: float) -> int:
    """Return in how many whole seconds a moment, in seconds since the epoch, has passed."""
    return max(1, math.ceil(moment - time.time()))
