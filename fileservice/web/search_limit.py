"""Searches: listings that look at every file, of which a few are made at a time.

Without a bound they would take every thread that uploads and downloads need as well.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fileservice.web.errors import TooManySearches

AT_ONCE = 2
"""Of a process. Each keeps one of the ten threads for work that blocks (see `offloads`) busy."""
PATIENCE = 2.0
"""Seconds for which a search waits for its turn."""


class Searches:
    """The turns of one process."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def turn(self, *, patient: bool = False) -> Iterator[None]:
        """Wait for a turn and have it. Raises TooManySearches, unless the caller is `patient`."""
        if not self._free.acquire(timeout=None if patient else PATIENCE):
            raise TooManySearches
        try:
            yield
        finally:
            self._free.release()
