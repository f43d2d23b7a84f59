"""Chunks of one size, many of which are received into the reader's buffer by one system call."""

_MAX_CHUNKS = 500
"""Each takes two buffers, of which one call of recvmsg(2) may have 1024 (IOV_MAX)."""


class EqualChunks:
    """Chunks of `size` bytes of data; `framing` is what is between the data of two of them.

    The data of each chunk is received where it belongs, and the framing into buffers of its own,
    where it is checked afterwards. So no data has to be moved as long as the size does not change.
    """

    def __init__(self, framing: bytes, size: int) -> None:
        self._framing = framing
        self._size = size
        self._frames = memoryview(bytearray(_MAX_CHUNKS * len(framing)))
        self._slots: list[memoryview] = []
        """The slices of `_frames` that have been needed so far, one for the framing of a chunk."""

    def begins_with(self, received: bytes | bytearray) -> bool:
        """Return whether these bytes may be the beginning of the framing of the next chunk."""
        return self._framing.startswith(bytes(received))

    def buffers(self, view: memoryview, left: int, begun: bytes) -> list[memoryview]:
        """Return the buffers to receive into, for the data to be in `view`.

        The current chunk has `left` more bytes. If these are none, `begun` are the bytes of the
        framing after it that have been received.
        """
        width, needed = len(self._framing), min(_MAX_CHUNKS, len(view) // self._size + 1)
        self._slots += [
            self._frames[start : start + width]
            for start in range(len(self._slots) * width, needed * width, width)
        ]
        self._frames[: len(begun)] = begun
        buffers = [view[:left]]
        for slot, start in zip(self._slots, range(left, len(view), self._size), strict=False):
            buffers += (slot, view[start : start + self._size])
        if begun:
            buffers[1] = buffers[1][len(begun) :]
        return buffers

    def received(self, view: memoryview, left: int, count: int) -> tuple[int, int, bytes]:
        """Return what the `buffers` hold after `count` bytes, those that were `begun` included.

        Return how many bytes of data are at the beginning of `view`, how many bytes the current
        chunk has left, and what was received after that: the framing of another chunk, or the
        beginning of one.
        """
        width, stride = len(self._framing), len(self._framing) + self._size
        data = min(left, count)
        count -= data
        chunks, tail = divmod(count, stride)
        framings = chunks + (tail >= width)
        equal = self._count_equal(framings)
        if equal < framings:
            rest = b"".join(
                bytes(buffer)
                for number in range(equal, chunks + 1)
                for buffer in (
                    self._slots[number],
                    view[data + number * self._size : data + (number + 1) * self._size],
                )
            )
            return data + equal * self._size, 0, rest[: count - equal * stride]
        if tail >= width:
            return data + chunks * self._size + tail - width, stride - tail, b""
        rest = bytes(self._frames[chunks * width : chunks * width + tail])
        return data + chunks * self._size, left - data, rest

    def _count_equal(self, framings: int) -> int:
        """Return how many of the first `framings` slots hold the expected framing."""
        width = len(self._framing)
        found = bytes(self._frames[: framings * width])
        if found == self._framing * framings:
            return framings
        starts = range(0, len(found), width)
        return next(i for i, at in enumerate(starts) if not found.startswith(self._framing, at))
