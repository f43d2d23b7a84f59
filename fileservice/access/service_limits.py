"""The limits of one service, over memory that its workers share."""

from dataclasses import dataclass

from limits.storage import Storage

from fileservice.access import counter_table, upload_slots
from fileservice.access.counter_table import CounterTable
from fileservice.access.limits import FailureLimiter, Limit, RateLimit, RateLimiter
from fileservice.access.redis_counters import RedisCounters
from fileservice.access.shared_memory import SharedMemory
from fileservice.access.upload_slots import UploadSlots

_inherited: SharedMemory | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that apply before the body of a request is read; None where there is none."""

    uploads: UploadSlots
    failures: FailureLimiter | None
    rate: RateLimiter | None
    counters: Storage
    """What the others count with."""

    def close(self) -> None:
        """Close connections to other machines."""
        if isinstance(self.counters, RedisCounters):
            self.counters.close()


def share_memory() -> None:
    """Let the processes that are forked from this one count together. Once is enough."""
    global _inherited
    _inherited = _inherited or _new_memory()


def open_limits(
    max_uploads: int, failure_limit: Limit | None, rate_limit: RateLimit | None, url: str | None
) -> Limits:
    """Return the limits, to be called in each worker.

    All workers count together if `share_memory` was called before they were forked, and all
    services if `url` names a Redis server; but `max_uploads` are those of one service. For
    `max_uploads` see `UploadSlots`, for the others the classes that are made of them.
    """
    memory = _inherited or _new_memory()
    table = CounterTable(memory, upload_slots.SIZE)
    counters: Storage = RedisCounters(url, table) if url else table
    return Limits(
        UploadSlots(memory, max_uploads),
        FailureLimiter(failure_limit, table, counters) if failure_limit else None,
        RateLimiter(rate_limit, counters) if rate_limit else None,
        counters,
    )


def _new_memory() -> SharedMemory:
    return SharedMemory(upload_slots.SIZE + counter_table.SIZE)
