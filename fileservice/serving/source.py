"""Source: the bytes that a connection receives, and those that it has received ahead."""

import select
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gevent import monkey
from gevent.socket import socket, wait_read

from fileservice.serving.gunicorn_api import BaseSource, errors
from fileservice.wsgi_extensions import shut_down_reading

MAX_HEAD_BYTES = 32 * 1024
"""The limit of a request's head; a parser never receives more of one."""
_SMALL_READ = 8192
_BUFFER_SIZE = 64 * 1024
_poll = monkey.get_original("select", "poll")  # gevent's own would switch to other greenlets
_get_ident = monkey.get_original("_thread", "get_ident")


class Source(BaseSource):
    """What gunicorn's parsers read from, and after them the bodies.

    Every read waits at most as long as the connection's timeout. While `deadline` (on the clock of
    time.monotonic) is set, all reads together wait until then at most.
    """

    def __init__(self, connection: socket) -> None:
        super().__init__()
        self._connection = connection
        self._thread = _get_ident()
        self._buffer: bytearray | None = None
        self._poll = _poll()
        self._poll.register(connection.fileno(), select.POLLIN)
        self.deadline: float | None = None
        self._head_left: int | None = None

    def begin_head(self, received: bytes, seconds: float) -> None:
        """Expect the rest of a head that begins with `received` within `seconds`."""
        self.unread(received)
        self._head_left = MAX_HEAD_BYTES - len(received)
        self.deadline = time.monotonic() + seconds

    def end_head(self) -> None:
        """End the limits of `begin_head`: the head has been read."""
        self._head_left = self.deadline = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next bytes from the connection, b"" at its end; more than 8 KiB if asked to.

        Raises TimeoutError past `deadline`, and LimitRequestHeaders if a head is too long.
        """
        if self.deadline is None:
            return self._receive(size_hint)
        with self._timeout(self.deadline):
            return self._receive(size_hint)

    @contextmanager
    def _timeout(self, deadline: float) -> Iterator[None]:
        """Let what is read in this context wait until `deadline` at most."""
        left, timeout = deadline - time.monotonic(), self._connection.gettimeout()
        if left <= 0:
            raise TimeoutError("the request took too long to arrive")
        self._connection.settimeout(left)
        try:
            yield
        finally:
            self._connection.settimeout(timeout)

    def receive_first(self) -> bytes:
        """Return the first bytes of a request, b"" if none arrive for whatever reason.

        The worker may end the wait, which raises an error in it. Bytes that have arrived by then
        are returned all the same.
        """
        try:
            return self.chunk()
        except OSError:
            pass
        self._connection.settimeout(0)
        try:
            return self._connection.recv(_SMALL_READ)
        except OSError:
            return b""

    def _receive(self, size_hint: int | None) -> bytes:
        if self._head_left is not None:
            if self._head_left <= 0:
                raise errors.LimitRequestHeaders(f"the head has more than {MAX_HEAD_BYTES} bytes")
            data = self._connection.recv(min(self._head_left, _SMALL_READ))
            self._head_left -= len(data)
            return data
        if size_hint is None or size_hint <= _SMALL_READ:
            return self._connection.recv(_SMALL_READ)
        if self._buffer is None:
            self._buffer = bytearray(_BUFFER_SIZE)
        received = self._connection.recv_into(self._buffer, min(size_hint, _BUFFER_SIZE))
        return bytes(memoryview(self._buffer)[:received])

    def may_wait(self) -> bool:
        """Return whether this is the thread of the event loop."""
        return bool(_get_ident() == self._thread)

    def arrives_within(self, seconds: float) -> bool:
        """Return whether something, be it the end, can be read from the socket within `seconds`."""
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        if not self.may_wait():
            return bool(self._poll.poll(1000 * seconds))
        if self._poll.poll(0):
            return True
        try:
            wait_read(self._connection.fileno(), seconds, TimeoutError())
        except TimeoutError:
            return False
        return True

    def readinto(self, buffer: memoryview) -> int | None:
        """Fill the beginning of `buffer` by one read; return the number of bytes, 0 at the end.

        In another thread than that of the event loop, return None if nothing has arrived.
        """
        if self.may_wait():
            if self.deadline is None:
                return self._connection.recv_into(buffer)
            with self._timeout(self.deadline):
                return self._connection.recv_into(buffer)
        timeout = self._connection.gettimeout()
        self._connection.settimeout(0)  # or gevent would wait, in the event loop of this thread
        try:
            return self._connection.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        finally:
            self._connection.settimeout(timeout)

    def interrupt(self) -> None:
        """Make every read return the end of the connection; may be called from any thread."""
        shut_down_reading(self._connection)
