"""Balance: connections are spread evenly over the workers, which all accept from one listener.

The kernel wakes every worker for a new connection, and the first that accepts has it. In a burst
that is often the same one, and connections stay where they are: 32 clients that keep theirs may
meet one worker with 24 of them and another with 8. So each worker takes its share of those that
wait, and one that has more than others lets them accept first, for a moment.
"""

import mmap
import struct
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from socket import AF_UNIX
from typing import Any

import gevent
from gevent.server import StreamServer

from fileservice.serving.queueing import backlog_length

_SLOT = struct.Struct("dQ")
"""When the worker last said how many connections it has, by time.monotonic, and the number."""
_SLOTS = 128
"""More workers than these do without balance; a reload has twice as many as usual."""
_MAX_AGE = 3.0
"""Seconds after which a worker that has said nothing does not count: it has ended or hangs."""
_AWAITED_SECONDS = 1.0
"""How long a worker that is awaited counts as one without connections, until it says so itself.
Clients that wait for longer may be refused."""
_TOLERANCE = 8
"""A worker may have one connection more than another, and one more for each so many of its."""
_TURN_SECONDS = 0.01
"""How long a worker lets others accept first; then it accepts, as they may be busy."""

_shared = mmap.mmap(-1, _SLOTS * _SLOT.size)
"""A slot for each worker. They inherit it, as this module is imported before they are forked."""


def free_slot(taken: AbstractSet[int | None], *, is_awaited: bool = False) -> int | None:
    """Return a slot that no worker has, and clear it; to be called by the master before a fork.

    The others leave connections to a worker that `is_awaited` before it accepts any. None if there
    are more workers than slots.
    """
    slot = next((slot for slot in range(_SLOTS) if slot not in taken), None)
    if slot is not None:
        reported = time.monotonic() - _MAX_AGE + _AWAITED_SECONDS if is_awaited else 0.0
        _SLOT.pack_into(_shared, slot * _SLOT.size, reported, 0)
    return slot


class ConnectionBalance:
    """What one worker says about itself, and knows of the others."""

    def __init__(self, slot: int | None) -> None:
        """Without a slot, the worker never waits for others."""
        self._slot = slot

    def report(self, connections: int) -> None:
        """Tell the others how many connections this worker has, and that it accepts more."""
        if self._slot is not None:
            _SLOT.pack_into(_shared, self._slot * _SLOT.size, time.monotonic(), connections)

    def withdraw(self) -> None:
        """Tell the others that this worker accepts no more connections."""
        if self._slot is not None:
            _SLOT.pack_into(_shared, self._slot * _SLOT.size, 0.0, 0)

    def is_ahead(self, connections: int, count_waiting: Callable[[], int]) -> bool:
        """Return whether the connections that wait are better left to workers with far fewer.

        That is so if these need all of them to have as many as this one. `count_waiting` returns
        how many wait; it is a function since it makes a system call that is rarely needed.
        """
        if self._slot is None or not connections:
            return False
        since = time.monotonic() - _MAX_AGE
        others: list[int] = [
            number
            for slot, (reported, number) in enumerate(_SLOT.iter_unpack(_shared))
            if reported > since and slot != self._slot  # what it said of itself is old
        ]
        fewest = min(others, default=connections)
        if connections <= fewest + 1 + fewest // _TOLERANCE:
            return False
        return sum(max(0, connections - number) for number in others) >= count_waiting()


class BalancedServer(StreamServer):
    """Accepts connections, but lets workers with fewer of them go first."""

    max_accept = 16
    """How many connections are accepted before those that are open have their turn."""

    def __init__(self, balance: ConnectionBalance, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._balance = balance
        self._left_by_others = 0
        """How many connections to accept without a pause: the others have had their turn."""

    def do_read(self) -> Any:
        """Return a new connection, or None if there is none or others shall accept it."""
        connections = len(self.pool or ())
        if not self._left_by_others and self._balance.is_ahead(connections, self._count_waiting):
            self.stop_accepting()
            gevent.spawn_later(_TURN_SECONDS, self._resume)
            return None
        accepted = super().do_read()
        if not accepted:
            self._left_by_others = 0
            return None
        self._left_by_others = max(0, self._left_by_others - 1)
        self._balance.report(connections + 1)
        return accepted

    def _count_waiting(self) -> int:
        return backlog_length(self.socket)

    def _resume(self) -> None:
        if self.closed:
            return
        # How many wait at a Unix socket is not known. So that clients of a proxy behind one need
        # not wait, they are taken in larger numbers than is best for the balance.
        self._left_by_others = self.max_accept if self.socket.family == AF_UNIX else 1
        if self.started:
            self.start_accepting()
