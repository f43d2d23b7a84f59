"""Heartbeat: a thread that calls functions at regular intervals."""

import threading
import time
from collections.abc import Callable


class Heartbeat:
    """Calls functions every `seconds`, while there are any. One serves all writers of a process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._functions: set[Callable[[], None]] = set()
        self._has_functions = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, function: Callable[[], None]) -> None:
        """Call `function`, which must not raise, from now on."""
        self._functions.add(function)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()
        self._has_functions.set()

    def remove(self, function: Callable[[], None]) -> None:
        """Stop calling `function`."""
        self._functions.discard(function)

    def _run(self) -> None:
        # Each call has a thread of its own and none is waited for, so one that hangs delays no
        # other.
        running: dict[Callable[[], None], threading.Thread] = {}
        while self._has_functions.wait():
            self._has_functions.clear()
            while self._functions:
                time.sleep(self._seconds)
                running = {f: thread for f, thread in running.items() if thread.is_alive()}
                for function in tuple(self._functions):
                    if function not in running:
                        running[function] = threading.Thread(
                            target=function, name="heartbeat call", daemon=True
                        )
                        running[function].start()
