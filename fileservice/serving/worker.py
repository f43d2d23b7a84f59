"""TransferWorker: gunicorn's gevent worker, with the way of the bytes made straight."""

import mmap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from socket import SHUT_RD
from ssl import OP_IGNORE_UNEXPECTED_EOF
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import socket
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from fileservice.serving.connection import Connection
from fileservice.serving.environ import Environs
from fileservice.serving.memory import give_back_what_is_freed
from fileservice.serving.queueing import Lag, Queue, seconds_since_handshake

if TYPE_CHECKING:
    from ssl import SSLContext  # gevent has yet to replace it

_FRESH_SECONDS = 1.0
"""How long a connection may say nothing when the worker stops, or, if it is new, is full."""
_KILL_SECONDS = 2.0
"""How long handlers may take to clean up after their grace is over."""
_replaced = mmap.mmap(-1, 8)
"""The age of the youngest worker that a reload replaces; the master writes, all workers read."""


def replace_workers(age: int) -> None:
    """Say in the master that workers up to this age end because others take their place."""
    _replaced[:] = age.to_bytes(8)


class TransferWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process that serves connections; the attributes are for gunicorn.conf.py to set."""

    idle_timeout: ClassVar[float] = 30.0
    """Seconds within which a client has to send or take 1 KiB, or the rest, of a body or answer."""
    head_timeout: ClassVar[float] = 15.0
    """Seconds from the first byte of a request's head to its last."""
    drain_delay: ClassVar[float] = 0.0
    """Seconds that a worker goes on serving, and says that it stops, before it stops."""
    cleanup_seconds: ClassVar[float] = 2 * _KILL_SECONDS
    """Seconds at the end of gunicorn's graceful timeout in which transfers are cut."""
    alive: bool  # gunicorn's own, which mypy cannot see
    stopping = False
    """The service is being stopped, and not only this worker replaced."""
    serving = True
    """Whether requests are still taken."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._stopping = Event()
        self._pool = Pool(self.worker_connections)
        # Those that wait for a request, since when, the longest first.
        self._idle: dict[socket, float] = {}
        self._fresh: dict[socket, float] = {}
        # Those in the middle of a head, or that have been answered and still send.
        self._yielding: dict[socket, float] = {}
        self._new = Queue()
        self._lag = Lag()

    def run(self) -> None:
        """Serve until told to stop, drain, and let transfers finish within the graceful timeout."""
        hub: Any = gevent.get_hub()
        hub.print_exception = self._log_exception
        servers = [self._listen(listener) for listener in self.sockets]
        gevent.spawn(self._lag.watch)
        while self.alive:
            self.notify()
            self._make_room()
            give_back_what_is_freed()
            self._stopping.wait(1.0)
        deadline = time.monotonic() + max(0.0, self.cfg.graceful_timeout - self.cleanup_seconds)
        if self.stopping:
            self._drain()
        self.serving = False
        for server in servers:
            server.close()
        # Who asks meanwhile is answered, and told that the connection closes.
        quiet_until = time.monotonic() + _FRESH_SECONDS
        while self._pool:
            if time.monotonic() > deadline:
                self.log.warning("the grace period is over: running transfers are cut")
                self._pool.kill(timeout=_KILL_SECONDS)
                return
            if time.monotonic() > quiet_until:
                self._end([*self._idle, *self._fresh])
            self.notify()
            gevent.sleep(0.05)

    def _log_exception(self, context: Any, kind: Any, error: Any, trace: Any) -> None:
        """Log what gevent would print to stderr: what failed outside of all connections."""
        if isinstance(context, StreamServer) and isinstance(error, OSError):
            self.log.error("no connection can be accepted at present: %s", error)
        else:
            self.log.error("%s failed", context, exc_info=(kind, error, trace))

    def _drain(self) -> None:
        """Go on serving, so that who sends clients here can learn that it must not any longer."""
        until = time.monotonic() + self.drain_delay
        while (left := until - time.monotonic()) > 0:
            self.notify()
            gevent.sleep(min(left, 1.0))

    def _make_room(self) -> None:
        """When there is no room for another connection, end the one that waited longest."""
        if not self._pool.full():
            return
        for waiting, seconds in (
            (self._idle, 0.0),
            (self._fresh, _FRESH_SECONDS),
            (self._yielding, _FRESH_SECONDS),
        ):
            connection, since = next(iter(waiting.items()), (None, 0.0))
            if connection and time.monotonic() - since >= seconds:
                del waiting[connection]
                self._end([connection])
                return

    @staticmethod
    def _end(connections: Iterable[socket]) -> None:
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(SHUT_RD)

    def _listen(self, listener: socket) -> StreamServer:
        listener.setblocking(True)
        environs = Environs(self.cfg, listener.getsockname())
        server = StreamServer(
            listener,
            handle=partial(self.handle, environs, _tls(self.cfg)),
            spawn=self._pool,
        )
        if self.cfg.workers > 1:
            server.max_accept = 1  # leave the next connection to a worker that is free
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self.stopping = self.age > int.from_bytes(_replaced[:])
        self._stopping.set()

    def count_request(self) -> None:
        """After as many as are configured, another worker takes this one's place."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self._stopping.set()

    def handle(
        self, environs: Environs, tls: "SSLContext | None", client: socket, addr: Any
    ) -> None:
        """Serve one connection to its end."""
        queued = self._queued_when_new(client)  # first of all: a handshake sends something
        if tls is None:
            self._serve(Connection(self, environs, client, addr, queued), client)
            return
        client.settimeout(self.head_timeout)
        with suppress(TimeoutError, OSError):
            wrapped = tls.wrap_socket(client, server_side=True)
            self._serve(Connection(self, environs, wrapped, addr, queued), wrapped)

    def _queued_when_new(self, client: socket) -> float | None:
        waited = seconds_since_handshake(client)
        if waited is None:
            return self.queued()
        return waited if self._new.is_late(waited) else None

    def queued(self) -> float | None:
        """Seconds that a request on an open connection waited in vain; None if not for too long."""
        return self._lag.seconds if self._lag.late else None

    def _serve(self, connection: Connection, client: socket) -> None:
        try:
            connection.serve()
        except (ConnectionError, TimeoutError, NoMoreData) as error:
            self.log.debug("%s: %s", connection, error)
        except gevent.GreenletExit:
            self.log.warning("%s was cut by the shutdown", connection)
        except Exception:
            self.log.exception("%s failed", connection)
        finally:
            client.close()

    @contextmanager
    def idle(self, connection: socket, number: int) -> Iterator[None]:
        """While it waits for its request with this number, the connection may be ended."""
        waiting = self._idle if number > 1 else self._fresh
        waiting[connection] = time.monotonic()
        self._make_room()
        try:
            yield
        finally:
            waiting.pop(connection, None)

    @contextmanager
    def yielding(self, connection: socket) -> Iterator[None]:
        """Meanwhile the connection may be ended for another that has no room, but not at once."""
        self._yielding[connection] = time.monotonic()
        try:
            yield
        finally:
            self._yielding.pop(connection, None)


def _tls(cfg: Config) -> "SSLContext | None":
    if not cfg.is_ssl:
        return None
    context: SSLContext = ssl_context(cfg)
    # Who only half-closes still gets its answer. Whether a body is whole, its own frame tells
    # (RFC 9112 section 9.8).
    context.options |= OP_IGNORE_UNEXPECTED_EOF
    return context
