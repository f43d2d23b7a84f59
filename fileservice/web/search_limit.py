"""The number of searches that run at the same time.

A search looks at every file. Without a limit, searches would occupy every thread that uploads and
downloads need as well.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fileservice.web.errors import TooManySearches

MAX_SEARCHES = 2
"""Of one process. Each search occupies one of the threads for blocking calls (see
`gevent_executor`)."""
WAIT_SECONDS = 2.0


class SearchLimit:
    """Lets `MAX_SEARCHES` searches of a process run at the same time."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MAX_SEARCHES)

    @contextmanager
    def slot(self, *, wait_forever: bool = False) -> Iterator[None]:
        """Hold one of the slots; wait for one up to `WAIT_SECONDS`, then raise TooManySearches."""
        if not self._free.acquire(timeout=None if wait_forever else WAIT_SECONDS):
            raise TooManySearches
        try:
            yield
        finally:
            self._free.release()
