"""Source: the bytes of a connection, and those of them that were read too early."""

import select
import ssl
import time

from gevent import monkey
from gevent.socket import socket, wait_read
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.unreader import Unreader

HEAD_BYTES = 32 * 1024
"""The most that the head of a request may have; a parser never gets more of one."""
_SMALL = 8192
_SCRATCH = 64 * 1024
_poll = monkey.get_original("select", "poll")  # which asks the kernel and never waits for others


class Source(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn's parsers read from, and the bodies after them.

    Every read waits at most as long as the connection's timeout; while `deadline` (on the clock of
    time.monotonic) is set, all of them together wait until then.
    """

    def __init__(self, connection: socket) -> None:
        super().__init__()
        self._connection = connection
        self._scratch: bytearray | None = None
        self._poll = _poll()
        self._poll.register(connection.fileno(), select.POLLIN)
        self.deadline: float | None = None
        self._head_left: int | None = None

    def begin_head(self, early: bytes, seconds: float) -> None:
        """A head begins with `early`; the rest of it must come within so many seconds."""
        self.unread(early)
        self._head_left = HEAD_BYTES - len(early)
        self.deadline = time.monotonic() + seconds

    def end_head(self) -> None:
        """The head has been read."""
        self._head_left = self.deadline = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes from the socket, b"" at the end; more than a few if a body wants them.

        Raises TimeoutError past `deadline`, and LimitRequestHeaders where a head is too long.
        """
        if self.deadline is None:
            return self._receive(size_hint)
        left, patience = self.deadline - time.monotonic(), self._connection.gettimeout()
        if left <= 0:
            raise TimeoutError("it took too long to come")
        self._connection.settimeout(left)
        try:
            return self._receive(size_hint)
        finally:
            self._connection.settimeout(patience)

    def first_chunk(self) -> bytes:
        """The first bytes of a request, b"" where none come for whatever reason.

        The worker may end the wait, which raises here; what had come by then counts all the same.
        """
        try:
            return self.chunk()
        except OSError:
            pass
        self._connection.settimeout(0)
        try:
            return self._connection.recv(_SMALL)
        except OSError:
            return b""

    def _receive(self, size_hint: int | None) -> bytes:
        if self._head_left is not None:
            if self._head_left <= 0:
                raise LimitRequestHeaders(f"the head has more than {HEAD_BYTES} bytes")
            data = self._connection.recv(min(self._head_left, _SMALL))
            self._head_left -= len(data)
            return data
        if size_hint is None or size_hint <= _SMALL:
            return self._connection.recv(_SMALL)
        if self._scratch is None:
            self._scratch = bytearray(_SCRATCH)
        received = self._connection.recv_into(self._scratch, min(size_hint, _SCRATCH))
        return bytes(memoryview(self._scratch)[:received])

    def arrives(self, seconds: float) -> bool:
        """Whether something can be read from the socket (its end, too) within so many seconds."""
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        if self._poll.poll(0):
            return True
        try:
            wait_read(self._connection.fileno(), seconds, TimeoutError())
        except TimeoutError:
            return False
        return True

    def readinto(self, view: memoryview) -> int:
        """Fill `view` as far as one read from the socket goes; 0 at the end."""
        return self._connection.recv_into(view)
