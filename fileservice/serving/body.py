"""The body of a request, from the socket into the caller's own buffers."""

import io
import time
from collections.abc import Callable, Iterator

from gunicorn.http.body import ChunkedReader

from fileservice.serving.source import Source


class Truncated(OSError):
    """The client closed the connection before the end of the body."""


class Body(io.RawIOBase):
    """The raw stream under `wsgi.input`. `begin` is called before the first byte is asked for."""

    left: int | None = None
    """Bytes not read yet; None where nobody knows."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin
        self.at_end = False
        """All of it has been read, so the next request begins here."""
        self.failed = False
        """Reading raised, so where the next request begins is unknown."""

    @property
    def begun(self) -> bool:
        """Whether any of it was asked for."""
        return self._begin is None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._begin:
            begin, self._begin = self._begin, None
            begin()
        try:
            return self._fill(memoryview(buffer))
        except BaseException:
            self.failed = True
            raise

    def arrives(self, seconds: float) -> bool:  # noqa: ARG002  # not known here
        """Whether reading will not have to wait for longer than so many seconds, if that is known.

        Who holds bytes back to make them more may ask this before reading on.
        """
        return True

    def forget_received(self) -> int | None:
        """Drop what was received and not read; how many bytes are still to come, if it is known."""
        raise NotImplementedError

    def _fill(self, view: memoryview) -> int:
        raise NotImplementedError


class LengthBody(Body):
    """A body of `length` bytes (RFC 9112 section 6.2)."""

    def __init__(self, source: Source, begin: Callable[[], None], length: int) -> None:
        super().__init__(begin)
        early = source.take_buffered()
        if len(early) > length:
            source.unread(early[length:])  # a pipelined request
        self._early = memoryview(early)[:length]
        self._source = source
        self.left: int = length
        self.at_end = length == 0

    def arrives(self, seconds: float) -> bool:
        return bool(self._early) or self.left == 0 or self._source.arrives(seconds)

    def forget_received(self) -> int | None:
        self.left -= len(self._early)
        self._early = memoryview(b"")
        return self.left

    def _fill(self, view: memoryview) -> int:
        view = view[: self.left]
        if not view:
            return 0
        if self._early:
            received = min(len(view), len(self._early))
            view[:received] = self._early[:received]
            self._early = self._early[received:]
        else:
            received = self._source.readinto(view)
        if not received:
            raise Truncated(f"the body ended {self.left} bytes early")
        self.left -= received
        self.at_end = self.left == 0
        return received


class ChunkedBody(Body):
    """A body in chunks (RFC 9112 section 7.1), taken apart by gunicorn's own parser.

    From one piece of the content to the next it waits for so many `seconds`, however busy the
    client is with what stands between them.
    """

    def __init__(
        self, source: Source, begin: Callable[[], None], reader: ChunkedReader, seconds: float
    ) -> None:
        super().__init__(begin)
        self._source = source
        self._seconds = seconds
        self._pieces: Iterator[bytes] = reader.parser
        self._piece = memoryview(b"")

    def forget_received(self) -> int | None:
        return 0 if self.at_end else None

    def _fill(self, view: memoryview) -> int:
        while not self._piece:
            piece = self._next_piece()
            if piece is None:
                self.at_end = True
                return 0
            self._piece = memoryview(piece)
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def _next_piece(self) -> bytes | None:
        self._source.deadline = time.monotonic() + self._seconds
        try:
            return next(self._pieces, None)
        finally:
            self._source.deadline = None
