"""Sends bytes to a connection, from memory and by the kernel from files, and closes connections."""

import errno
import fcntl
import os
import socket as sockets
import ssl
import struct
import termios
import time
from collections.abc import Callable

import gevent
from gevent.socket import socket, wait_write

_SENDFILE_SIZE = 1 << 20
"""Bytes for which the kernel is asked at a time."""
_BYTES_BEFORE_YIELD = 4 << 20
"""Bytes after which other greenlets run, even if this connection never waits."""
_BLOCK_SIZE = 256 * 1024
_MIN_BYTES = 1024
"""A client must take this many bytes within each timeout."""
_SIOCOUTQ = termios.TIOCOUTQ
"""Requests the number of bytes in the send buffer that are not acknowledged (Linux: tcp(7))."""

_LINGER_BYTES = 256 << 20
_LINGER_SECONDS = 30.0
_LINGER_BATCH = 128 * 1024
"""Bytes to arrive before a lingering close wakes up, since each time costs a switch."""


class StallDetector:
    """Distinguishes a client that reads slowly from one that reads nothing.

    The kernel reports a socket as writable only when about a third of its send buffer, which may be
    megabytes, is free again. So a wait may time out although the client reads. What counts then is
    how much the buffer has emptied. A client that takes only some bytes counts as stalled: it
    would hold its connection for ever.
    """

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._queued = -1

    def check(self, timeout: TimeoutError) -> None:
        """Raise `timeout` if fewer than 1 KiB have left the buffer since the last call."""
        queued = struct.unpack("i", fcntl.ioctl(self._connection.fileno(), _SIOCOUTQ, b"\0" * 4))[0]
        if self._queued >= 0 and self._queued - queued < _MIN_BYTES:
            raise timeout
        self._queued = queued

    def reset(self) -> None:
        """Start again, since the socket has accepted bytes."""
        self._queued = -1


def _ignore(count: int) -> None:
    pass


def send(
    connection: socket, data: bytes, flags: int = 0, on_sent: Callable[[int], None] = _ignore
) -> None:
    """Send all of `data`; call `on_sent` with the number of bytes each time the kernel takes some.

    Raises TimeoutError if the client takes less than 1 KiB within the connection's timeout.
    """
    if isinstance(connection, ssl.SSLSocket):
        flags = 0  # the records of TLS take none
    rest: bytes | memoryview = data
    stall: StallDetector | None = None
    while rest:
        try:
            count = connection.send(rest, flags)
        except TimeoutError as timeout:
            stall = stall or StallDetector(connection)
            stall.check(timeout)
            continue
        on_sent(count)
        if count == len(rest):
            return
        rest = memoryview(rest)[count:]
        if stall:
            stall.reset()


def send_file(
    connection: socket,
    descriptor: int,
    offset: int,
    count: int,
    on_sent: Callable[[int], None] = _ignore,
) -> None:
    """Send `count` bytes of a file from `offset` on; other greenlets run now and then.

    `on_sent` is called with the number of bytes each time the kernel takes some. Raises
    TimeoutError if the client takes less than 1 KiB within the connection's timeout, and EOFError
    if the file has become shorter.
    """
    if isinstance(connection, ssl.SSLSocket):
        _send_blocks(connection, descriptor, offset, count, on_sent)
        return
    out, timeout = connection.fileno(), connection.gettimeout()
    before_yield, stall = _BYTES_BEFORE_YIELD, StallDetector(connection)
    while count:
        try:
            sent = os.sendfile(out, descriptor, offset, min(count, _SENDFILE_SIZE))
        except BlockingIOError:
            try:
                wait_write(out, timeout, TimeoutError("the client takes nothing"))
            except TimeoutError as error:
                stall.check(error)
            continue
        if not sent:
            raise EOFError("the file became shorter while it was sent")
        on_sent(sent)
        stall.reset()
        offset += sent
        count -= sent
        before_yield -= sent
        if before_yield <= 0:
            before_yield = _BYTES_BEFORE_YIELD
            gevent.sleep(0)


def _send_blocks(
    connection: socket, descriptor: int, offset: int, count: int, on_sent: Callable[[int], None]
) -> None:
    while count:
        block = os.pread(descriptor, min(count, _BLOCK_SIZE), offset)
        if not block:
            raise EOFError("the file became shorter while it was sent")
        send(connection, block, 0, on_sent)
        offset += len(block)
        count -= len(block)


_scratch = bytearray(1 << 20)


def discard(connection: socket, count: int, idle_timeout: float) -> bool:
    """Receive and drop `count` bytes; return whether they all arrived.

    Ends early if nothing arrives for `idle_timeout` seconds.
    """
    return _discard(connection, count, idle_timeout, time.monotonic() + idle_timeout) == count


def linger(connection: socket, idle_timeout: float) -> None:
    """Close for writing, and drop what the client still sends, so that it reads the response.

    A connection that is closed while bytes are unread is reset, and the reset may overtake the
    response (RFC 9112 section 9.6). Ends when nothing arrives for `idle_timeout` seconds, and after
    30 seconds or 256 MiB.
    """
    try:
        connection.shutdown(sockets.SHUT_WR)
        if not isinstance(connection, ssl.SSLSocket):
            connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, _LINGER_BATCH)
        _discard(connection, _LINGER_BYTES, idle_timeout, time.monotonic() + _LINGER_SECONDS)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.EBADF, None):
            raise


def _discard(connection: socket, count: int, idle_timeout: float, deadline: float) -> int:
    # On TCP, MSG_TRUNC drops what was received without copying it.
    flags = 0 if isinstance(connection, ssl.SSLSocket) else sockets.MSG_TRUNC
    left, before_yield = count, _BYTES_BEFORE_YIELD
    while left:
        seconds = min(idle_timeout, deadline - time.monotonic())
        if seconds <= 0:
            break
        connection.settimeout(seconds)
        received = _drop(connection, min(left, len(_scratch)), flags)
        if not received:
            break
        left -= received
        before_yield -= received
        if before_yield <= 0:
            before_yield = _BYTES_BEFORE_YIELD
            gevent.sleep(0)
    return count - left


def _drop(connection: socket, count: int, flags: int) -> int:
    try:
        return connection.recv_into(_scratch, count, flags)
    except TimeoutError:
        connection.settimeout(0)  # fewer bytes than a batch may have arrived
        try:
            return connection.recv_into(_scratch, count, flags)
        except (BlockingIOError, ssl.SSLWantReadError):
            return 0
