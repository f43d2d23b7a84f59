"""Parts: the bytes of large objects on their way, some at a time, two of them in flight."""

import threading
from collections.abc import Callable
from typing import Self

PART = 8 << 20
"""Bytes of a part, and what of a file is kept in memory before it is begun in the bucket."""
MOST_PARTS = 10_000
"""Parts that S3 lets an object have."""
_IN_FLIGHT = 2


def part_size(offset: int, length: int | None) -> int:
    """How large the part at `offset` must be, so that 5 TiB fit into 10,000 parts."""
    needed = offset // 1200 if length is None else -(-length // (MOST_PARTS - 100))
    return max(PART, (needed + 0xFFFFF) & ~0xFFFFF)


class PartBuffer:
    """A part while it is filled: as large as it will be, since growing costs as much again."""

    def __init__(self, size: int, used: list[bytearray]) -> None:
        # Memory that was used before: given back and taken anew, it falls to pieces.
        used[:] = [data for data in used if len(data) == size]  # parts may have grown
        self._data = used.pop() if used else bytearray(size)
        self.filled = 0

    @classmethod
    def begun(cls, data: bytearray, size: int) -> Self:
        """One that has this in it already, and makes use of its memory."""
        filled = len(data)
        data += bytes(size - filled)
        filling = cls(size, [data])
        filling.filled = filled
        return filling

    def add(self, block: memoryview) -> memoryview:
        """Take what fits of a block, and give the rest back."""
        count = min(len(block), len(self._data) - self.filled)
        self._data[self.filled : self.filled + count] = block[:count]
        self.filled += count
        return block[count:]

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return self.filled == len(self._data)

    def taken(self) -> bytearray:
        """What it was filled with; no more can be added."""
        del self._data[self.filled :]
        return self._data


class PartUploads:
    """Requests under way, each in a thread (a greenlet where threads are patched).

    The first that fails is raised by all further calls until the end, and nothing more is started.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, act: Callable[[], None]) -> None:
        """Begin to act, once fewer than two others are under way."""
        while len(self._threads) >= _IN_FLIGHT:
            self._threads.pop(0).join()
        self._raise()
        thread = threading.Thread(target=self._run, args=(act,), name="part")
        self._threads.append(thread)
        thread.start()

    def wait_all(self) -> None:
        """Wait for all that is under way, and raise what failed."""
        self.wait()
        self._raise()

    def wait(self) -> None:
        """Wait for all that is under way, whatever came of it."""
        while self._threads:
            self._threads.pop(0).join()

    def end(self) -> None:
        """Wait, and forget what failed: what was raised leads here, and to the parts in memory."""
        self.wait()
        self._error = None

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  # raised by the next call
            self._error = self._error or error

    def _raise(self) -> None:
        if self._error:
            raise self._error
