"""UploadSlots: how many uploads are under way in all workers of one service."""

import threading

from fileservice.access.shared_memory import SharedMemory

_MAX_PROCESSES = 4096
_CELL = 8
_MUTEX = 0
"""The first cell says how many cells have ever been used, and its first byte is the lock of all."""
SIZE = (1 + _MAX_PROCESSES) * _CELL
"""Bytes of shared memory."""


class UploadSlots:
    """Allows `limit` uploads at the same time, over all processes that share the memory.

    Each process counts its uploads in a cell of its own, and holds a lock on the cell while it
    lives. So what a dead process has counted does not count.
    """

    def __init__(self, memory: SharedMemory, limit: int) -> None:
        """Take a cell for this process."""
        self.limit = limit
        self._memory = memory
        self._mutex = threading.Lock()  # no other process changes the cell of this one
        self._cells = memoryview(memory.bytes)[:SIZE].cast("Q")
        self._cell = next(cell for cell in range(1, _MAX_PROCESSES) if memory.hold(cell * _CELL))
        with memory.locked(_MUTEX):
            self._cells[_MUTEX] = max(self._cells[_MUTEX], self._cell)
            self._cells[self._cell] = 0

    def take(self) -> bool:
        """Count one more upload of this process, if fewer than `limit` are under way."""
        with self._mutex:
            # Each process may be counting one more at this very moment, which is not seen yet.
            enough = self.limit - self._cells[_MUTEX]
            if self.under_way() < enough:
                self._cells[self._cell] += 1
                if self.under_way() <= enough:
                    return True
                self._cells[self._cell] -= 1
            return self._take_exactly()

    def _take_exactly(self) -> bool:
        """Do the same while no other process does."""
        with self._memory.locked(_MUTEX):
            if self.under_way() >= self.limit:
                self._forget_dead_processes()
                if self.under_way() >= self.limit:
                    return False
            self._cells[self._cell] += 1
            return True

    def give_back(self) -> None:
        """Count an upload of this process no longer."""
        with self._mutex:
            self._cells[self._cell] -= 1

    def under_way(self) -> int:
        """Return the number of uploads, with those of processes that died a moment ago."""
        return sum(self._cells[1 : self._cells[_MUTEX] + 1])

    def _forget_dead_processes(self) -> None:
        for cell in range(1, self._cells[_MUTEX] + 1):
            if self._cells[cell] and not self._memory.is_held(cell * _CELL):
                self._cells[cell] = 0
