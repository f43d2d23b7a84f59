"""How long requests wait before a worker begins with them, and whether that is too long.

The rule is that of CoDel (RFC 8289). A burst makes a queue that empties by itself. Only a queue in
which everything waits for longer than the target, throughout an interval, is a sign of overload;
from then on, whatever has waited for longer than the target is overdue.

Requests also wait if other processes have the CPU. If they are few, that is no overload: clients
that each wait for a response before they send the next request are not more than can be served.

New connections wait in the backlog of the listening socket, from which a worker takes some in each
round of its event loop, and then in that loop. Requests on open connections wait in the loop.
"""

import math
import socket as sockets
import struct
import time
from collections.abc import Callable

import gevent
from gevent.socket import socket

_TARGET = 0.25
"""Seconds that a request may wait."""
_INTERVAL = 1.0
"""Seconds throughout which every request must have waited longer before one is overdue."""
FEW_REQUESTS = 50
"""Nothing is overdue in a worker that has not more requests than this."""
_MEASURE_SECONDS = 0.1
_LAST_DATA_SENT = struct.Struct("=44xI")
"""tcpi_last_data_sent in struct tcp_info (linux/tcp.h), in milliseconds."""
_UNACKED = struct.Struct("=24xI")
"""tcpi_unacked, which is the length of the backlog if the socket listens (net/ipv4/tcp.c)."""


class QueueMonitor:
    """Decides what is overdue in one queue.

    The queue counts as empty if nothing is taken from it for more than `pause` seconds.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause
        self._exceeded_since: float | None = None
        self._last_taken = self._last_overdue = -math.inf

    def is_overdue(self, waited: float, requests: int) -> bool:
        """Return whether to refuse what is taken from the queue now, after `waited` seconds.

        `requests` is how many the worker has, and the backlog with them.
        """
        now = time.monotonic()
        was_empty = now - waited - self._last_taken > self._pause
        self._last_taken = now
        if waited <= _TARGET:
            self._exceeded_since = None
            return False
        if self._exceeded_since is None or was_empty:
            self._exceeded_since = now
        exceeded_throughout = now - self._exceeded_since > _INTERVAL
        was_overloaded = now - self._last_overdue < _INTERVAL
        if requests <= FEW_REQUESTS or not (exceeded_throughout or was_overloaded):
            return False
        self._last_overdue = now
        return True


class LoopDelay:
    """How long what is ready to run in the event loop of this thread waits for its turn.

    `count_requests` returns how many requests the worker has, or has had in the last seconds.
    `report` is called with each measurement.
    """

    def __init__(
        self, count_requests: Callable[[float], int], report: Callable[[float], None]
    ) -> None:
        self._count_requests = count_requests
        self._report = report
        self.seconds = 0.0
        """The last measurement."""
        self.is_overdue = False
        """Whether what the loop runs now has waited for too long."""
        self._monitor = QueueMonitor(pause=2 * _MEASURE_SECONDS)

    def measure(self) -> None:
        """Measure again and again; never returns."""
        while True:
            due = time.monotonic() + _MEASURE_SECONDS
            gevent.sleep(_MEASURE_SECONDS)
            fired = time.monotonic()
            gevent.sleep(0)  # timers run before what is ready; this waits with the latter
            now = time.monotonic()
            self.seconds = now - due
            # Since the timer fired, each connection has had its turn at most once.
            requests = self._count_requests(now - fired)
            self.is_overdue = self._monitor.is_overdue(self.seconds, requests)
            self._report(self.seconds)


def seconds_since_handshake(connection: socket) -> float | None:
    """Return the age of a TCP connection on which nothing was sent yet; None for other sockets."""
    try:
        info = connection.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _LAST_DATA_SENT.size)
    except OSError:
        return None
    milliseconds: int = _LAST_DATA_SENT.unpack(info)[0]
    return milliseconds / 1000


def backlog_length(listener: socket) -> int:
    """Return how many connections wait to be accepted; 0 if it is no TCP socket."""
    try:
        info = listener.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _UNACKED.size)
    except OSError:
        return 0
    count: int = _UNACKED.unpack(info)[0]
    return count
