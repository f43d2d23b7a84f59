"""When a request is made again that the service did not answer, or could not."""

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from fileservice.client.errors import Unavailable
from fileservice.client.progress import NoProgress, Progress

T = TypeVar("T")

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 30.0


class Retries:
    """Waits between attempts, each time longer, and gives up after a time without progress."""

    def __init__(self, seconds: float, progress: Progress | None = None) -> None:
        """`seconds` is for how long to go on without any progress."""
        self._seconds = seconds
        self._progress = progress or NoProgress()
        self._wait = _FIRST_WAIT
        self._deadline = time.monotonic() + seconds

    def start_again(self) -> None:
        """Note that there was progress, so the waits and the time limit begin anew."""
        self._wait = _FIRST_WAIT
        self._deadline = time.monotonic() + self._seconds

    def wait(self, error: Unavailable) -> None:
        """Wait until the next attempt; raise the error if it would come too late."""
        # Clients that a restart has cut off at the same moment must not come back together.
        seconds = self._wait * random.uniform(0.5, 1.0)  # noqa: S311
        if error.retry_after is not None:
            seconds = max(seconds, error.retry_after)
        if time.monotonic() + seconds > self._deadline:
            raise error
        self._progress.say(f"{error}; trying again in {seconds:.1f} s")
        time.sleep(seconds)
        self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def call(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, calling it again as long as it raises Unavailable."""
        while True:
            try:
                return attempt()
            except Unavailable as error:
                self.wait(error)


def retry_after(value: str | None) -> float | None:
    """Return the seconds in Retry-After (RFC 9110 section 10.2.3); None without a valid value."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
