"""Bytes onto a connection: from memory, and from files by the kernel."""

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

_SLICE = 1 << 20
"""Bytes the kernel is asked to send at a time."""
_TURN = 4 << 20
"""Bytes after which other connections get their turn."""
_BLOCK = 256 * 1024
_LEAST = 1024
"""Bytes that a client must take within each timeout."""
_SIOCOUTQ = termios.TIOCOUTQ
"""Asks for the bytes in the send buffer that the client has not acknowledged (Linux: tcp(7))."""

LINGER_BYTES = 256 << 20
LINGER_SECONDS = 30.0
LINGER_IDLE_SECONDS = 5.0
_LINGER_BATCH = 128 * 1024
"""Bytes that must have come before a lingering close looks again: each look costs a switch."""


class _Patience:
    """Tells a slow client from one that takes nothing.

    The kernel calls a socket writable only when a good part of its buffer, which may be megabytes,
    is free again. So when a wait has been in vain, what counts is by how much the buffer got
    emptier: a client that takes a few bytes, to hold its connection, does not count as slow.
    """

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._queued = -1

    def judge(self, timeout: TimeoutError) -> None:
        """Raise `timeout` if next to nothing left the socket's buffer since the last call."""
        queued = struct.unpack("i", fcntl.ioctl(self._connection.fileno(), _SIOCOUTQ, b"\0" * 4))[0]
        if self._queued >= 0 and self._queued - queued < _LEAST:
            raise timeout
        self._queued = queued

    def renew(self) -> None:
        """Begin anew, since the socket took something."""
        self._queued = -1


def _ignore(count: int) -> None:
    pass


def send(
    connection: socket, data: bytes, flags: int = 0, sent: Callable[[int], None] = _ignore
) -> None:
    """Send all of `data`, as long as the client takes 1 KiB of it within each timeout.

    Each time the kernel took some, `sent` is told how many bytes.
    """
    rest, patience = memoryview(data), _Patience(connection)
    if isinstance(connection, ssl.SSLSocket):
        flags = 0  # TLS has its own records, and takes none
    while rest:
        try:
            count = connection.send(rest, flags)
            sent(count)
            rest = rest[count:]
            patience.renew()
        except TimeoutError as timeout:
            patience.judge(timeout)


def send_file(
    connection: socket,
    descriptor: int,
    offset: int,
    count: int,
    sent: Callable[[int], None] = _ignore,
) -> None:
    """Send `count` bytes of a file, in turns with the other connections.

    Each time the kernel took some, `sent` is told how many bytes. Raises TimeoutError when the
    client takes next to nothing within the connection's timeout, and EOFError when the file has
    become shorter.
    """
    if isinstance(connection, ssl.SSLSocket):
        _send_blocks(connection, descriptor, offset, count, sent)
        return
    out, timeout = connection.fileno(), connection.gettimeout()
    turn, patience = _TURN, _Patience(connection)
    while count:
        try:
            taken = os.sendfile(out, descriptor, offset, min(count, _SLICE))
        except BlockingIOError:
            try:
                wait_write(out, timeout, TimeoutError("the client takes nothing"))
            except TimeoutError as nothing:
                patience.judge(nothing)
            continue
        if not taken:
            raise EOFError("the file is shorter than it was")
        sent(taken)
        patience.renew()
        offset += taken
        count -= taken
        turn -= taken
        if turn <= 0:
            turn = _TURN
            gevent.sleep(0)


def _send_blocks(
    connection: socket, descriptor: int, offset: int, count: int, sent: Callable[[int], None]
) -> None:
    while count:
        block = os.pread(descriptor, min(count, _BLOCK), offset)
        if not block:
            raise EOFError("the file is shorter than it was")
        send(connection, block, 0, sent)
        offset += len(block)
        count -= len(block)


_discarded = bytearray(1 << 20)


def discard(connection: socket, count: int) -> bool:
    """Take `count` bytes off the connection; whether they all came."""
    return _discard(connection, count, time.monotonic() + LINGER_IDLE_SECONDS) == count


def linger(connection: socket) -> None:
    """Close for writing, and let the client finish sending, so that it reads the last answer.

    A connection closed over unread bytes is reset, and a reset overtakes the answer (RFC 9112
    section 9.6).
    """
    try:
        connection.shutdown(sockets.SHUT_WR)
        if not isinstance(connection, ssl.SSLSocket):
            connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, _LINGER_BATCH)
        _discard(connection, LINGER_BYTES, time.monotonic() + LINGER_SECONDS)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.EBADF, None):
            raise


def _discard(connection: socket, count: int, deadline: float) -> int:
    # On TCP, MSG_TRUNC drops what was received without copying it.
    flags = 0 if isinstance(connection, ssl.SSLSocket) else sockets.MSG_TRUNC
    left, turn = count, _TURN
    while left:
        seconds = min(LINGER_IDLE_SECONDS, deadline - time.monotonic())
        if seconds <= 0:
            break
        connection.settimeout(seconds)
        received = _drop(connection, min(left, len(_discarded)), flags)
        if not received:
            break
        left -= received
        turn -= received
        if turn <= 0:
            turn = _TURN
            gevent.sleep(0)
    return count - left


def _drop(connection: socket, count: int, flags: int) -> int:
    try:
        return connection.recv_into(_discarded, count, flags)
    except TimeoutError:
        connection.settimeout(0)  # less than a batch may have come
        try:
            return connection.recv_into(_discarded, count, flags)
        except (BlockingIOError, ssl.SSLWantReadError):
            return 0
