"""A TCP proxy that breaks connections where a plan says."""

import contextlib
import errno
import random
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from tests.clients.traffic import Conversation, Traffic

_BLOCK = 64 * 1024
_CONNECT_SECONDS = 60
_WAIT_SECONDS = 60


class _Ended(Exception):
    """Both sides of this connection have been dealt with."""


class Link(threading.Thread):
    """One connection through the proxy; its public methods are the faults that a plan can name."""

    def __init__(self, proxy: "FaultProxy", client: socket.socket, server: socket.socket) -> None:
        super().__init__(name=f"link {client.getpeername()[1]} to {server.getsockname()[1]}")
        self.port: int = server.getsockname()[1]
        """The proxy's port of the connection to the server."""
        self.interrupted = False
        """Whether the fault happened within the body of a request."""
        self.ended = threading.Event()
        """Set when the server has ended a connection that the proxy holds open."""
        self._proxy = proxy
        self._client = client
        self._server = server
        self._conversation = Conversation(proxy.traffic)
        self._loses_answer = False

    def delay(self, seconds: float) -> None:
        """Forward nothing in either direction for this time."""
        if select.select([self._proxy.stopped], [], [], seconds)[0]:
            raise _Ended

    def reset(self) -> None:
        """Send RST to both sides."""
        for side in (self._client, self._server):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Ended

    def silence(self) -> None:
        """Stop forwarding and keep both connections open."""
        self._proxy.hold(self)
        self._hold_server()

    def close_server(self) -> None:
        """Close the connection to the server and keep the client's open."""
        self._server.close()
        select.select([self._proxy.stopped], [], [])
        raise _Ended

    def close_client(self) -> None:
        """Close the connection to the client and keep the server's open."""
        self._proxy.hold(self)
        self._client.close()
        self._hold_server()

    def lose_answer(self) -> None:
        """Forward on, but reset the client's connection instead of forwarding the next answer."""
        self._loses_answer = True

    def _hold_server(self) -> None:
        """Discard what the server sends, and note when it ends the connection."""
        with contextlib.suppress(OSError):
            while data := self._receive(self._server):
                self._conversation.received(data)
        self.ended.set()
        select.select([self._proxy.stopped], [], [])
        raise _Ended

    def _receive(self, side: socket.socket) -> bytes:
        if self._proxy.stopped in select.select([self._proxy.stopped, side], [], [])[0]:
            raise _Ended
        return side.recv(_BLOCK)

    def run(self) -> None:
        with self._client, self._server, contextlib.suppress(_Ended):
            try:
                self._forward()
            except OSError as error:
                if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                    raise
                self.reset()

    def _forward(self) -> None:
        client, server, stopped = self._client, self._server, self._proxy.stopped
        upward = downward = b""
        client_ended = server_ended = False
        while upward or downward or not (client_ended and server_ended):
            reading, writing = [stopped], []
            if upward:
                writing.append(server)
            elif not client_ended:
                reading.append(client)
            if downward:
                writing.append(client)
            elif not server_ended:
                reading.append(server)
            readable, writable, _ = select.select(reading, writing, [])
            if stopped in readable:
                return
            if server in readable:
                downward = server.recv(_BLOCK)
                self._conversation.received(downward)
                if downward and self._loses_answer:
                    self.reset()
                if not downward:
                    server_ended = True
                    client.shutdown(socket.SHUT_WR)
            if client in writable:
                downward = downward[client.send(downward) :]
                if not downward:
                    self._conversation.delivered()
            if client in readable:
                upward = client.recv(_BLOCK)
                if not upward:
                    client_ended = True
                    server.shutdown(socket.SHUT_WR)
            if server in writable:
                upward = upward[self._send(upward) :]

    def _send(self, data: bytes) -> int:
        """Send the server some of it, at most up to the next fault, which then happens here."""
        with self._proxy.meter:
            fault = self._proxy.next_fault()
            if fault:
                data = data[: fault.at - self._proxy.forwarded]
            count = self._server.send(data)
            self._proxy.forwarded += count
            self._conversation.sent(data[:count])
            due = fault is not None and self._proxy.forwarded == fault.at
            if due:
                self._proxy.fired += 1
        if due and fault:
            self.interrupted = self._conversation.interrupted
            fault.action(self)
        return count


@dataclass(frozen=True)
class Fault:
    """What happens to the connection that carries the byte `at`, counted over all connections."""

    at: int
    action: Callable[[Link], None]


class FaultProxy:
    """A proxy at `url` that forwards to a port of 127.0.0.1 and follows a plan of faults."""

    def __init__(self, port: int, plan: Iterable[Fault] = ()) -> None:
        self.plan = sorted(plan, key=lambda fault: fault.at)
        self.traffic = Traffic()
        self.meter = threading.Lock()
        self.forwarded = 0
        """How many bytes have gone to the server."""
        self.fired = 0
        """How many faults have happened."""
        self.held: list[Link] = []
        """Connections to the server that stay open though nothing is forwarded any more."""
        self.silent = threading.Event()
        """Set when there is one of these."""
        self._port = port
        self._links: list[Link] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.stopped, self._stop = socket.socketpair()
        self._accepting = threading.Thread(target=self._accept, name="proxy")
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """End all connections, and wait for the threads that serve them."""
        self._stop.close()
        for thread in (self._accepting, *self._links):
            thread.join(_WAIT_SECONDS)
            assert not thread.is_alive(), f"{thread.name} does not end"
        self.stopped.close()

    def wait_until_silent(self) -> None:
        """Wait until a connection is held."""
        assert self.silent.wait(_WAIT_SECONDS), "no connection has fallen silent"

    def hold(self, link: Link) -> None:
        self.held.append(link)
        self.silent.set()

    def next_fault(self) -> Fault | None:
        return self.plan[self.fired] if self.fired < len(self.plan) else None

    def _accept(self) -> None:
        with self._listener:
            while self.stopped not in select.select([self._listener, self.stopped], [], [])[0]:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port), _CONNECT_SECONDS)
                except OSError:  # the server is down: reset the client, too
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
                    continue
                for side in (client, server):
                    side.setblocking(False)
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link = Link(self, client, server)
                self._links.append(link)
                link.start()


def delay(link: Link) -> None:
    link.delay(0.3)


def random_plan(
    seed: int, size: int, *actions: Callable[[Link], None], times: int = 1
) -> list[Fault]:
    """Plan each action `times` times, in random order and within the first `size` bytes."""
    chance = random.Random(seed)
    order = list(actions) * times
    chance.shuffle(order)
    places = sorted(chance.sample(range(1, size), len(order)))
    return [Fault(at, action) for at, action in zip(places, order, strict=True)]
