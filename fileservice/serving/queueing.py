"""Queueing: how long requests wait before a worker comes to them, and when that is for too long.

The rule is that of CoDel (RFC 8289): a burst makes a queue that goes by itself, and only a queue
that stands for longer than an interval is a sign of more work than can be done. From then on, what
has waited for longer than the target is late, and the rest is not.

New connections wait in the backlog of the listening socket where several workers share it, and in
the event loop where one worker accepts them all. Requests on open connections wait in the loop.
"""

import math
import socket as sockets
import struct
import time

import gevent
from gevent.socket import socket

_TARGET = 0.25
"""Seconds that whatever is begun may have waited."""
_INTERVAL = 1.0
"""Seconds for which everything must have waited longer before anything is late."""
_LOOK_SECONDS = 0.1
_LAST_DATA_SENT = struct.Struct("=44xI")
"""tcpi_last_data_sent in struct tcp_info (linux/tcp.h), in milliseconds."""


class Queue:
    """Tells what waited for too long in one queue.

    Where nothing comes for more than `pause` seconds after the last was begun, it is empty.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause
        self._exceeded_since: float | None = None
        self._last_begun = self._last_late = -math.inf

    def is_late(self, waited: float) -> bool:
        """Whether what is begun now, after it `waited` so many seconds, should be refused."""
        now = time.monotonic()
        was_empty = now - waited - self._last_begun > self._pause
        self._last_begun = now
        if waited <= _TARGET:
            self._exceeded_since = None
            return False
        if self._exceeded_since is None or was_empty:
            self._exceeded_since = now
        stands = now - self._exceeded_since > _INTERVAL
        stood_lately = now - self._last_late < _INTERVAL
        if not (stands or stood_lately):
            return False
        self._last_late = now
        return True


class Lag:
    """How far the event loop of this thread is behind."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """What the last look has found."""
        self.late = False
        """Whether what the loop begins now waited for too long."""
        self._queue = Queue(pause=2 * _LOOK_SECONDS)

    def watch(self) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            due = time.monotonic() + _LOOK_SECONDS
            gevent.sleep(_LOOK_SECONDS)
            gevent.sleep(0)  # timers pass by what is ready to run; this waits with it
            self.seconds = time.monotonic() - due
            self.late = self._queue.is_late(self.seconds)


def seconds_since_handshake(connection: socket) -> float | None:
    """The age of a connection over TCP to which nothing was sent yet; None for others."""
    try:
        info = connection.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _LAST_DATA_SENT.size)
    except OSError:
        return None
    milliseconds: int = _LAST_DATA_SENT.unpack(info)[0]
    return milliseconds / 1000
