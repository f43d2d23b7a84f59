"""A connection whose bytes arrive in given parts, and the body in chunks that is read from it."""

from collections.abc import Callable

from fileservice.serving.chunks import ChunkedBody
from fileservice.serving.source import Source

IDLE_SECONDS = 30.0


class Parts:
    """A connection whose bytes arrive in these parts, one with each read."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def fileno(self) -> int:
        return 0

    def recv_into(self, buffer: memoryview) -> int:
        if not self._parts:
            return 0
        part = self._parts.pop(0)
        count = min(len(part), len(buffer))
        buffer[:count] = part[:count]
        if part[count:]:
            self._parts.insert(0, part[count:])
        return count

    def gettimeout(self) -> float:
        return IDLE_SECONDS

    def settimeout(self, _seconds: float) -> None:
        pass


def body_of(
    connection: object, check_trailers: Callable[[bytes], None] = lambda _section: None
) -> tuple[ChunkedBody, Source]:
    """Return the body that arrives by a connection, and what it is received through."""
    source = Source(connection)  # type: ignore[arg-type]
    return ChunkedBody(source, None, check_trailers, IDLE_SECONDS), source


def read(body: ChunkedBody, size: int) -> bytes:
    """Return the data of the body, received into buffers of this size."""
    data, buffer = b"", memoryview(bytearray(size))
    while count := body.readinto(buffer):
        data += buffer[:count]
    return data
