"""Health: whether files can be stored now, found out by one look that all who ask share."""

import threading
import time
from collections.abc import Callable

from fileservice.storage import StorageFull, StorageUnavailable, Store

_PATIENCE = 3.0
"""Seconds in which a look has to end: whoever asks has a time limit, too."""


class Health:
    """Asks `look`, which raises what is wrong, when somebody wants to know.

    One look at a time, and the next one begins `interval` seconds after the last one at the
    earliest, however many ask. `look` may hang, as it does where a disk hangs, and then nobody
    waits longer than for three seconds; so it must not share threads with other work.
    """

    def __init__(self, look: Callable[[], None], interval: float) -> None:
        self._ask = look
        self._interval = interval
        self._lock = threading.Lock()
        self._last: _Look | None = None

    def require(self) -> None:
        """Raise what was wrong at the last look. Raises StorageUnavailable while a look hangs."""
        look = self._recent()
        if not look.over.wait(max(0.0, look.began + _PATIENCE - time.monotonic())):
            raise StorageUnavailable(f"the storage has not answered for {_PATIENCE:.0f} seconds")
        if look.error:
            raise look.error.with_traceback(None)  # of the one who asked before

    def _recent(self) -> "_Look":
        with self._lock:
            last = self._last
            if not last or (last.over.is_set() and last.began + self._interval < time.monotonic()):
                last = _Look()
                threading.Thread(target=last.run, args=(self._ask,), daemon=True).start()
                self._last = last
            return last


class _Look:
    """One look, and what came of it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.over = threading.Event()
        self.error: Exception | None = None

    def run(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001  # raised again where it is asked for
            self.error = error
        finally:
            self.over.set()


def look_at(store: Store, min_free: int) -> None:
    """Raise what hinders that files are stored now; `min_free` bytes are to be left free."""
    store.check()
    free = store.free_space()
    if free is not None and free < min_free:
        raise StorageFull(
            f"less is left in the storage than the {min_free} bytes that are to be left free;"
            " nothing more is stored"
        )
