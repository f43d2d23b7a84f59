"""The parts of a multipart upload: their sizes, their buffers, and the requests that send them."""

import threading
from collections.abc import Callable
from typing import Self

PART = 8 << 20
"""Bytes of a part, and bytes of a file that stay in memory before any are sent."""
MOST_PARTS = 10_000
"""Parts that an object may have ("Amazon S3 multipart upload limits")."""
_CONCURRENT = 2


def part_size(offset: int, length: int | None) -> int:
    """Return the size of the part at `offset`: parts grow so that 5 TiB fit into 10,000."""
    needed = offset // 1200 if length is None else -(-length // (MOST_PARTS - 100))
    return max(PART, (needed + 0xFFFFF) & ~0xFFFFF)


class PartBuffer:
    """The bytes of one part. It is allocated at its full size, as growing would copy them again."""

    def __init__(self, size: int, unused: list[bytearray]) -> None:
        """Use a buffer of `unused` if one has this size, and drop those that have another."""
        # Memory that is freed and allocated again each time would become fragmented.
        unused[:] = [data for data in unused if len(data) == size]
        self._data = unused.pop() if unused else bytearray(size)
        self.filled = 0

    @classmethod
    def beginning_with(cls, data: bytearray, size: int) -> Self:
        """Return a buffer of `size` bytes that holds `data` and uses its memory."""
        filled = len(data)
        data += bytes(size - filled)
        buffer = cls(size, [data])
        buffer.filled = filled
        return buffer

    def add(self, block: memoryview) -> memoryview:
        """Append as much of the block as fits, and return the rest of it."""
        count = min(len(block), len(self._data) - self.filled)
        self._data[self.filled : self.filled + count] = block[:count]
        self.filled += count
        return block[count:]

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return self.filled == len(self._data)

    def take(self) -> bytearray:
        """Return the bytes that were added; nothing can be added afterwards."""
        del self._data[self.filled :]
        return self._data


class PartUploads:
    """Requests that run concurrently, each in a thread (a greenlet where threads are patched).

    The first error is raised by every further call until `end`, and no request is started any more.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, request: Callable[[], None]) -> None:
        """Start a request, once fewer than two others are running."""
        while len(self._threads) >= _CONCURRENT:
            self._threads.pop(0).join()
        self._raise()
        thread = threading.Thread(target=self._run, args=(request,), name="part")
        self._threads.append(thread)
        thread.start()

    def wait_all(self) -> None:
        """Wait for all requests, and raise the first error."""
        self.wait()
        self._raise()

    def wait(self) -> None:
        """Wait for all requests, and raise nothing."""
        while self._threads:
            self._threads.pop(0).join()

    def end(self) -> None:
        """Wait for all requests and forget the error, whose traceback keeps parts in memory."""
        self.wait()
        self._error = None

    def _run(self, request: Callable[[], None]) -> None:
        try:
            request()
        except BaseException as error:  # noqa: BLE001  # raised by the next call
            self._error = self._error or error

    def _raise(self) -> None:
        if self._error:
            raise self._error
