"""How often and for how long the delivery of events tries."""

import random
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How often and for how long the delivery tries; times in seconds."""

    poll: float = 0.5
    """How often the queue is looked at."""
    take_over: float = 1.0
    """How often other processes try to take the lock of the one that delivers."""
    first_delay: float = 1.0
    """Before an event is sent for the second time. It is doubled each time, up to the longest, and
    shortened by up to a half at random, so that not all services try at the same time."""
    longest_delay: float = 300.0
    max_age: float = 3 * 86_400.0
    """After so long an event is dropped."""
    max_queue: int = 100_000
    """If there are more events, the oldest are dropped."""
    concurrency: int = 8
    """How many requests are under way."""
    pending: float = 10.0
    """For so long the process that wrote a pending event is left to say what has become of it."""
    abandoned: float = 3600.0
    """After so long a pending event that has not happened is removed."""


REMOTE = DeliveryLimits(poll=5.0, take_over=30.0)
"""For a bucket, where every look at the queue costs a request."""


class Retry:
    """When something that has failed is tried again."""

    def __init__(self) -> None:
        self.failures = 0
        self._next = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def seconds_left(self) -> float:
        """Return in how many seconds it is due; 0 if it is."""
        return max(0.0, self._next - time.monotonic())

    def postpone(self, limits: DeliveryLimits, at_least: float | None = None) -> None:
        delay = min(limits.longest_delay, limits.first_delay * 2.0 ** min(self.failures, 30))
        self.failures += 1
        delay = max(delay * random.uniform(0.5, 1), min(at_least or 0.0, limits.longest_delay))  # noqa: S311
        self._next = time.monotonic() + delay
