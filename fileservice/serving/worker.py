"""TransferWorker: a gunicorn worker under gevent that moves bytes with few copies."""

import gc
import logging
import mmap
import os
import time
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from socket import SHUT_RD
from typing import TYPE_CHECKING, Any

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.pool import Pool
from gevent.socket import socket

from fileservice.request_record import AUDIT_LOG, RequestObserver, RequestRecord
from fileservice.serving import held_signals
from fileservice.serving.audit_writer import AuditWriter
from fileservice.serving.balance import BalancedServer, ConnectionBalance
from fileservice.serving.certificates import worker_tls_context
from fileservice.serving.connection import Connection, TimeLimits
from fileservice.serving.environ import EnvironFactory
from fileservice.serving.gunicorn_api import (
    BaseWorker,
    add_settings,
    errors,
    is_accept_error,
    log_loop_errors,
    resolved,
)
from fileservice.serving.log_writer import LogWriter
from fileservice.serving.memory import keep_freed_memory, trim_heap
from fileservice.serving.queueing import (
    FEW_REQUESTS,
    LoopDelay,
    QueueMonitor,
    backlog_length,
    seconds_since_handshake,
)

if TYPE_CHECKING:
    from ssl import SSLContext  # at run time it is the one of before gevent replaced it

_NEW_CONNECTION_SECONDS = 1.0
"""A connection is not closed for another, or by a worker that stops, before it had this time."""
_KILL_SECONDS = 2.0
"""The time for requests to clean up after the grace period."""
CLEANUP_SECONDS = 2 * _KILL_SECONDS
"""The last part of gunicorn's graceful_timeout, in which requests are cancelled."""
_replaced_age = mmap.mmap(-1, 8)
"""The age of the youngest worker that a reload replaces; the master writes, all workers read."""


def mark_replaced(age: int) -> None:
    """Record, in the master, that workers up to this age end because a reload replaces them."""
    _replaced_age[:] = age.to_bytes(8)


class TransferWorker(BaseWorker):
    """One process that serves connections."""

    stopping = False
    """The service is being stopped, rather than only this worker replaced."""
    balance_slot: int | None = None
    """See `balance.free_slot`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        add_settings(self.cfg, {})
        self.limits = TimeLimits(
            self.cfg.idle_timeout,
            self.cfg.head_timeout,
            self.cfg.keepalive,
            self.cfg.linger_timeout,
        )
        self.request_cfg = resolved(self.cfg)
        self._stop_requested = Event()
        self._pool = Pool(self.worker_connections)
        # When each began to wait, the longest first: for a further request, for its first one, and
        # in the middle of a head or after the response.
        self._idle: dict[socket, float] = {}
        self._new: dict[socket, float] = {}
        self._closable: dict[socket, float] = {}
        self._begun: deque[float] = deque(maxlen=FEW_REQUESTS + 1)  # when the last requests began
        self._accept_queue = QueueMonitor()
        self._loop_delay = LoopDelay(self._count_requests, self._report_requests)
        self._audit: AuditWriter | None = None
        self.observers: list[RequestObserver] = []
        """Those that are told about the requests; gunicorn's configuration adds to them."""
        self.requests_under_way: set[RequestRecord] = set()
        self.requests_ended: list[RequestRecord] = []
        """Those that the observers were not told about."""

    def init_process(self) -> None:
        """Load the application, which starts threads, and run."""
        keep_freed_memory()
        super().init_process()

    def init_signals(self) -> None:
        """Handle signals, also those that came before."""
        super().init_signals()
        held_signals.release()

    def patch(self) -> None:
        """Let gevent replace what waits in the standard library, but not os.close and log locks.

        gevent's own os.close looks at each descriptor by two system calls, in case somebody waits
        for it in the event loop. Only sockets are waited for here, and they close themselves.

        Native threads write to the logs as well, and gevent's locks do not wake up those that wait
        in another thread. No greenlet gives way while it has such a lock.
        """
        handlers = _log_handlers()
        locks = [handler.lock for handler in handlers]
        module_lock = logging._lock  # type: ignore[attr-defined]
        super().patch()
        for handler, lock in zip(handlers, locks, strict=True):
            handler.lock = lock
        logging._lock = module_lock  # type: ignore[attr-defined]
        os.close = monkey.get_original("os", "close")

    def run(self) -> None:
        """Serve until a stop is requested, then drain and finish within graceful_timeout."""
        gc.collect()
        gc.freeze()  # what has been loaded stays, so it need not be searched for garbage
        log_loop_errors(self._log_loop_error)
        self._balance = ConnectionBalance(self.balance_slot)
        self._balance.report(0)
        if self.log.audit_handler:
            self._audit = AuditWriter(self.log.audit_handler, self.log.audit_seconds)
        servers = [self._listen(listener) for listener in self.sockets]
        gevent.spawn(self._loop_delay.measure)
        writer = LogWriter(self.log.access_log)
        if self.log.access_log_enabled:
            self.log.requests.write = writer.write
            self.observers.append(self.log.requests)
        try:
            self._serve_until_stopped(servers)
        finally:
            if self._audit:  # before others that may wait, and have the worker killed meanwhile
                self._audit.close(_KILL_SECONDS)
            self._report_requests(0.0)
            for observer in self.observers:
                observer.close()
            writer.close(_KILL_SECONDS)

    def _serve_until_stopped(self, servers: Iterable[BalancedServer]) -> None:
        while self.alive:
            self.notify()
            self._balance.report(len(self._pool))
            self._make_room()
            trim_heap()
            self._stop_requested.wait(1.0)
        deadline = time.monotonic() + max(0.0, self.cfg.graceful_timeout - CLEANUP_SECONDS)
        if self.stopping:
            self._drain()
        self._balance.withdraw()
        for server in servers:
            server.close()
        # Requests that arrive meanwhile are answered, and the responses close their connections.
        close_idle_at = time.monotonic() + _NEW_CONNECTION_SECONDS
        while self._pool:
            if time.monotonic() > deadline:
                self.log.warning("the grace period is over: running transfers are cut")
                self._pool.kill(timeout=_KILL_SECONDS)
                return
            if time.monotonic() > close_idle_at:
                self._end([*self._idle, *self._new])
            self.notify()
            gevent.sleep(0.05)

    def _report_requests(self, waited: float) -> None:
        ended, self.requests_ended = self.requests_ended, []
        for observer in self.observers:
            try:
                observer.observe(ended, self.requests_under_way, waited)
            except Exception:  # the others, and the overload, are to be measured further
                self.log.exception("%d requests were not recorded", len(ended))

    def _log_loop_error(self, context: Any, exc_info: Any) -> None:
        if is_accept_error(context, exc_info[1]):
            self.log.error("no connection can be accepted at present: %s", exc_info[1])
        else:
            self.log.error("%s failed", context, exc_info=exc_info)

    def _drain(self) -> None:
        """Continue to serve, so that load balancers learn that this service stops."""
        until = time.monotonic() + self.cfg.drain_delay
        while (left := until - time.monotonic()) > 0:
            self.notify()
            gevent.sleep(min(left, 1.0))

    def _make_room(self) -> None:
        """If there is no room for another connection, end the one that has waited longest."""
        if not self._pool.full():
            return
        for waiting, seconds in (
            (self._idle, 0.0),
            (self._new, _NEW_CONNECTION_SECONDS),
            (self._closable, _NEW_CONNECTION_SECONDS),
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

    def _listen(self, listener: socket) -> BalancedServer:
        listener.setblocking(True)
        extensions = {AUDIT_LOG: self._audit} if self._audit else {}
        environs = EnvironFactory(self.cfg, listener.getsockname(), extensions)
        tls = worker_tls_context(self.cfg)
        server = BalancedServer(
            self._balance, listener, handle=partial(self.handle, environs, tls), spawn=self._pool
        )
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self.stopping = self.age > int.from_bytes(_replaced_age[:])
        self._stop_requested.set()

    def count_request(self) -> None:
        """Count a request; after max_requests of them another worker replaces this one."""
        self.nr += 1
        self._begun.append(time.monotonic())
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self._stop_requested.set()

    def handle(
        self, environs: EnvironFactory, tls: "SSLContext | None", client: socket, addr: Any
    ) -> None:
        """Serve one connection until it ends."""
        # To be measured before a TLS handshake sends something.
        overdue = self._overdue_seconds_of_new(client)
        if tls is None:
            self._serve(Connection(self, environs, client, addr, overdue), client)
            return
        client.settimeout(self.limits.head)
        with suppress(TimeoutError, OSError):
            wrapped = tls.wrap_socket(client, server_side=True)
            self._serve(Connection(self, environs, wrapped, addr, overdue), wrapped)

    def _overdue_seconds_of_new(self, client: socket) -> float | None:
        waited = seconds_since_handshake(client)
        if waited is None:
            return self.overdue_seconds()
        if self._accept_queue.is_overdue(waited, self._count_requests()):
            return waited
        return self.overdue_seconds()

    def _count_requests(self, seconds: float = 0.0) -> int:
        """Return how many requests run, or began in the last seconds if more, plus the backlog.

        Those that began are counted up to FEW_REQUESTS + 1.
        """
        since = time.monotonic() - seconds
        running = len(self._pool) - len(self._idle) - len(self._new)
        served = max(running, sum(begun > since for begun in self._begun))
        return served + sum(map(backlog_length, self.sockets))

    def overdue_seconds(self) -> float | None:
        """Return how long a request on an open connection has waited, if that is too long."""
        return self._loop_delay.seconds if self._loop_delay.is_overdue else None

    def _serve(self, connection: Connection, client: socket) -> None:
        try:
            connection.serve()
        except (ConnectionError, TimeoutError, errors.NoMoreData) as error:
            self.log.debug("%s: %s", connection, error)
        except EOFError as error:
            self.log.warning("%s broke off: %s", connection, error)
        except gevent.GreenletExit:
            self.log.warning("%s was cut by the shutdown", connection)
        except Exception:
            self.log.exception("%s failed", connection)
        finally:
            client.close()
            if self.alive:
                self._balance.report(len(self._pool) - 1)

    def idle(self, connection: socket, number: int) -> AbstractContextManager[None]:
        """Allow the worker to end the connection, which waits for its request of this number."""
        waiting = _Waiting(self._idle if number > 1 else self._new, connection)
        self._make_room()
        return waiting

    def closable(self, connection: socket) -> AbstractContextManager[None]:
        """Allow the worker to end the connection for a new one, but not within the first second."""
        return _Waiting(self._closable, connection)


class _Waiting(AbstractContextManager[None]):
    """An entry of `connections` until the context ends; contextmanager would cost three times."""

    __slots__ = ("_connection", "_connections")

    def __init__(self, connections: dict[socket, float], connection: socket) -> None:
        connections[connection] = time.monotonic()
        self._connections, self._connection = connections, connection

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        self._connections.pop(self._connection, None)


def _log_handlers() -> list[logging.Handler]:
    references = logging._handlerList  # type: ignore[attr-defined]
    return [handler for reference in references if (handler := reference())]
