"""Memory that all workers of one service share, and locks that a worker's death releases.

The memory is a file without a name (memfd_create(2)), which the workers inherit when they are
forked. Its locks are record locks (fcntl(2)): the kernel releases those of a process that ends,
however it ends, so that no counter is lost with a worker.
"""

import fcntl
import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_WAIT = 1.0
"""Seconds. A lock is held for microseconds, or for some tenths of a second if its process has to
wait for the CPU. A process that holds one for longer than this has been stopped (SIGSTOP). The
others continue without the lock then, and their counts may be inexact."""


class SharedMemory:
    """`size` bytes of zeros; `bytes` are shared with the processes that are forked later."""

    def __init__(self, size: int) -> None:
        self._file = os.memfd_create("fileservice")
        os.ftruncate(self._file, size)
        self.bytes = mmap.mmap(self._file, size)
        self._mutex = threading.Lock()  # a record lock excludes processes, and no threads
        self._held: set[tuple[int, int]] = set()

    def __del__(self) -> None:
        os.close(self._file)

    @contextmanager
    def locked(self, position: int) -> Iterator[None]:
        """Exclude everybody else who locks the byte at this position.

        What is done under the lock must take microseconds, and not wait for anything.
        """
        with self._mutex:
            is_locked = self._lock(position)
            try:
                yield
            finally:
                if is_locked:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, position)

    def hold(self, position: int) -> bool:
        """Lock the byte at this position for the lifetime of this process, if nobody holds it."""
        with self._mutex:
            if (os.getpid(), position) in self._held or not self._try_lock(position):
                return False
            self._held.add((os.getpid(), position))
            return True

    def is_held(self, position: int) -> bool:
        """Return whether a living process holds the byte at this position. Not under its lock."""
        if (os.getpid(), position) in self._held:
            return True
        if not self._try_lock(position):
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, position)
        return False

    def _lock(self, position: int) -> bool:
        deadline = 0.0
        while not self._try_lock(position):
            now = time.monotonic()
            deadline = deadline or now + _MAX_WAIT
            if now > deadline:
                return False
            os.sched_yield()
        return True

    def _try_lock(self, position: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
        except (BlockingIOError, PermissionError):  # fcntl(2): EAGAIN or EACCES
            return False
        return True
