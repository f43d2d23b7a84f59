"""The body of a request, from the socket into the reader's own buffers."""

import io
from collections.abc import Callable

from fileservice.serving.source import Source

_MAX_DROPPED = 64 * 1024
"""An unread body up to this size (bytes) is received and dropped to keep the connection."""


class TruncatedBody(OSError):
    """The client closed the connection before the end of the body."""


class Body(io.RawIOBase):
    """The raw stream below `wsgi.input`, and the RequestBody of `wsgi_extensions`.

    `on_first_read` is called before the first byte is read; it sends 100 Continue to a client that
    waits for it (RFC 9110 section 10.1.1), and is None if the client does not wait.
    """

    remaining: int | None = None
    """Bytes that have not been read; None if that is unknown."""

    def __init__(self, source: Source, on_first_read: Callable[[], None] | None) -> None:
        self._source = source
        self._on_first_read = on_first_read
        self.at_end = False
        """All of it has been read: the next request begins here."""
        self.failed = False
        """Reading raised an error: it is unknown where the next request begins."""
        self.received = 0
        """Bytes that have been read."""

    def is_reusable(self) -> bool:
        """Return whether another request can follow this body on the connection.

        A client that waits for 100 Continue may send the body or not once it has the final
        response, so it is unknown where the next request begins.
        """
        if self.at_end or self.failed:
            return self.at_end
        awaits_continue = self._on_first_read is not None
        return not awaits_continue and self.remaining is not None and self.remaining <= _MAX_DROPPED

    def readable(self) -> bool:
        return True

    def may_wait(self) -> bool:
        """Return whether this is the thread of the event loop."""
        return self._source.may_wait()

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if self._on_first_read:
            on_first_read, self._on_first_read = self._on_first_read, None
            on_first_read()
        try:
            count = self._fill(memoryview(buffer))
        except BaseException:
            self.failed = True
            raise
        self.received += count or 0
        return count

    def arrives_within(self, seconds: float) -> bool:  # noqa: ARG002  # not known here
        """Return whether `readinto` will not have to wait for longer than `seconds`, if known."""
        return True

    def interrupt(self) -> None:
        """Make `readinto` raise an error, also if it waits; may be called from any thread."""
        self._source.interrupt()

    def drop_received(self) -> int | None:
        """Drop what was received and not read; return how many bytes are not received, if known."""
        raise NotImplementedError

    def _fill(self, view: memoryview) -> int | None:
        raise NotImplementedError


class LengthBody(Body):
    """A body of `length` bytes (RFC 9112 section 6.2)."""

    def __init__(
        self, source: Source, on_first_read: Callable[[], None] | None, length: int
    ) -> None:
        super().__init__(source, on_first_read)
        received = source.take_buffered()
        if len(received) > length:
            source.unread(received[length:])  # a pipelined request
        self._received = memoryview(received)[:length]
        self.remaining: int = length
        self.at_end = length == 0

    def arrives_within(self, seconds: float) -> bool:
        return bool(self._received) or self.remaining == 0 or self._source.arrives_within(seconds)

    def drop_received(self) -> int | None:
        self.remaining -= len(self._received)
        self._received = memoryview(b"")
        return self.remaining

    def _fill(self, view: memoryview) -> int | None:
        view = view[: self.remaining]
        if not view:
            return 0
        count: int | None
        if self._received:
            count = min(len(view), len(self._received))
            view[:count] = self._received[:count]
            self._received = self._received[count:]
        else:
            count = self._source.readinto(view)
        if count is None:
            return None
        if not count:
            raise TruncatedBody(f"the body ended {self.remaining} bytes early")
        self.remaining -= count
        self.at_end = self.remaining == 0
        return count
