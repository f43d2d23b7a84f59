"""A client for small requests over many connections, which costs a few microseconds for each.

wrk cannot send HEAD, and copies every byte that it receives. This client needs one system call to
send a request and one to receive its answer, and drops bodies in the kernel (MSG_TRUNC).
"""

import itertools
import re
import select
import socket
import statistics
import time
from collections.abc import Iterator

from wire import Unexpected, head

_HEAD = 65536
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NO_LENGTH = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"^HTTP/1\.0|\r\nconnection: *close", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_drop = bytearray(1 << 20)


class Closed(Exception):
    """The server has closed a connection between two requests, which it may."""


class _Connection:
    """A connection, which is sending nothing and expects an answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.received = b""
        self.left = 0
        self.closes = False
        self.refused = False
        self.chunked = False
        self.request = b""
        self.answers = 0
        self.started = 0.0

    def send(self, request: bytes) -> None:
        self.started = time.perf_counter()
        self.request = request
        self.socket.sendall(request)

    def receive(self, status: bytes, has_body: bool) -> bool:
        """Receive once; return whether the answer is complete. Raises Unexpected."""
        if self.left:
            count = self.socket.recv_into(_drop, min(self.left, len(_drop)), socket.MSG_TRUNC)
            if not count:
                raise Unexpected(f"an answer ended {self.left} bytes early")
            self.left -= count
            return not self.left
        more = self.socket.recv(_HEAD)
        if not more:
            if self.answers and not self.received:
                raise Closed
            raise Unexpected(f"the connection ended after {self.received!r}")
        self.received += more
        if self.chunked:
            return self.received.endswith(_LAST_CHUNK)
        end = self.received.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        self.refused = self.received.startswith(b"503", 9)
        if not self.refused and not self.received.startswith(status, 9):
            raise Unexpected(repr(self.received[:end]))
        self.closes = _CLOSE.search(self.received, 0, end) is not None
        if not has_body and not self.refused:
            return True
        length = _LENGTH.search(self.received, 0, end)
        if length:
            self.left = int(length[1]) - (len(self.received) - end)
            return not self.left
        self.chunked = _NO_LENGTH.search(self.received, 0, end) is not None
        return not self.chunked or self.received.endswith(_LAST_CHUNK)


def load(
    port: int,
    requests: Iterator[bytes],
    *,
    connections: int,
    seconds: float,
    status: int = 200,
    has_body: bool = True,
) -> dict[str, float]:
    """Send requests for some seconds; return how many were answered, the rate, p50 and p99.

    Latencies are in seconds, from before the request is sent until its answer is received. Those
    that are refused, since the server has too much to do (503), count by themselves. An answer with
    another status raises Unexpected.
    """
    expected = str(status).encode()
    epoll, latencies, refused = select.epoll(), [], 0
    open_connections: dict[int, _Connection] = {}

    def connect(request: bytes) -> None:
        connection = _Connection(port)
        open_connections[connection.socket.fileno()] = connection
        epoll.register(connection.socket, select.EPOLLIN)
        connection.send(request)

    def disconnect(descriptor: int) -> None:
        epoll.unregister(descriptor)
        open_connections.pop(descriptor).socket.close()

    start = now = time.perf_counter()
    for _ in range(connections):
        connect(next(requests))
    end = start + seconds
    while open_connections:
        for descriptor, _event in epoll.poll():
            connection = open_connections[descriptor]
            try:
                if not connection.receive(expected, has_body):
                    continue
            except Closed:
                disconnect(descriptor)
                connect(connection.request)
                continue
            now = time.perf_counter()
            if connection.refused:
                refused += 1
            else:
                latencies.append(now - connection.started)
            connection.received, connection.chunked = b"", False
            connection.answers += 1
            if now < end and not connection.closes:
                connection.send(next(requests))
                continue
            disconnect(descriptor)
            if now < end:
                connect(next(requests))
    epoll.close()
    quantiles = statistics.quantiles(latencies, n=100)
    return {
        "requests": len(latencies),
        "refused": refused,
        "rate": len(latencies) / (now - start),
        "p50": quantiles[49],
        "p99": quantiles[98],
    }


def repeated(method: str, path: str, fields: str = "") -> Iterator[bytes]:
    """Return the same request again and again."""
    return itertools.repeat(head(method, path, fields))


def uploads(under: str, size: int, first: int = 0) -> Iterator[bytes]:
    """Return uploads of `size` bytes of text, with names and contents of their own."""
    fields = f"Content-Type: text/plain\r\nContent-Length: {size}\r\n"
    text = b"some lines of text, which are not all the same\n" * (size // 47 + 1)
    for number in itertools.count(first):
        line = b"%015d\n" % number
        yield head("PUT", f"{under}put-{number}.txt", fields) + line + text[: size - len(line)]
