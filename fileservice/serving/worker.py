"""TransferWorker: gunicorn's gevent worker, with the way of the bytes made straight."""

import io
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from socket import SHUT_RD
from ssl import OP_IGNORE_UNEXPECTED_EOF
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import socket
from gunicorn.config import Config
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidHeader, NoMoreData, UnsupportedTransferCoding
from gunicorn.http.message import Request
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from fileservice.serving.body import Body, ChunkedBody, LengthBody
from fileservice.serving.environ import Environs
from fileservice.serving.refusals import REFUSED, refusal
from fileservice.serving.response import TransferResponse
from fileservice.serving.source import Source
from fileservice.serving.transmit import discard, linger, send

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
_SMALL_BODY = 64 * 1024
"""An unread body up to this size (bytes) is read and thrown away to keep the connection."""
_FRESH_SECONDS = 1.0
"""How long a connection just made may still ask for something when the worker stops."""
_KILL_SECONDS = 2.0
"""How long handlers may take to clean up after their grace is over."""
_FIELDS_OF_PROXIES = frozenset(
    "HTTP_VIA HTTP_FORWARDED HTTP_X_FORWARDED_FOR HTTP_X_FORWARDED_PROTO HTTP_X_FORWARDED_HOST "
    "HTTP_X_FORWARDED_PREFIX HTTP_X_REAL_IP".split()
)
"""Believed from anybody: whoever makes one up only goes without interim answers."""


class TransferWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process that serves connections; the attributes are for gunicorn.conf.py to set."""

    idle_timeout: ClassVar[float] = 30.0
    """Seconds that a client may neither send nor take a byte, in a body or an answer."""
    head_timeout: ClassVar[float] = 15.0
    """Seconds from the first byte of a request's head to its last."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._stopping = Event()
        self._idle: set[socket] = set()
        self._fresh: set[socket] = set()

    def run(self) -> None:
        """Serve until told to stop; then let running transfers finish within the grace period."""
        servers = [self._listen(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._stopping.wait(1.0)
        for server in servers:
            server.close()
        self._end(self._idle)
        fresh_until = time.monotonic() + _FRESH_SECONDS
        # The master kills at the end of the grace period; what is cut must be cleaned up by then.
        deadline = time.monotonic() + max(0.0, self.cfg.graceful_timeout - 2 * _KILL_SECONDS)
        while any(server.pool for server in servers):
            if time.monotonic() > deadline:
                self.log.warning("the grace period is over: running transfers are cut")
                for server in servers:
                    server.pool.kill(timeout=_KILL_SECONDS)  # type: ignore[union-attr]
                return
            if time.monotonic() > fresh_until:
                self._end(self._fresh)
            self.notify()
            gevent.sleep(0.05)

    @staticmethod
    def _end(connections: set[socket]) -> None:
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(SHUT_RD)

    def _listen(self, listener: socket) -> StreamServer:
        listener.setblocking(True)
        server = _Server(
            listener,
            handle=partial(self.handle, Environs(self.cfg, listener.getsockname())),
            spawn=Pool(self.worker_connections),
            **_tls(self.cfg),
        )
        if self.cfg.workers > 1:
            server.max_accept = 1  # leave the next connection to a worker that is free
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self._stopping.set()

    def stop_soon(self) -> None:
        """Let another worker take this one's place."""
        self.alive = False
        self._stopping.set()

    def handle(self, environs: Environs, client: socket, addr: Any) -> None:
        """Serve one connection to its end."""
        try:
            Connection(self, environs, client, addr).serve()
        except (ConnectionError, TimeoutError, NoMoreData) as error:
            self.log.debug("connection from %s: %s", addr, error)
        except gevent.GreenletExit:
            self.log.info("connection from %s was cut by the shutdown", addr)
        except Exception:
            self.log.exception("connection from %s failed", addr)
        finally:
            client.close()

    @contextmanager
    def idle(self, connection: socket, number: int) -> Iterator[None]:
        """While it waits for its request with this number, a shutdown may end the connection."""
        waiting = self._idle if number > 1 else self._fresh
        waiting.add(connection)
        try:
            yield
        finally:
            waiting.discard(connection)


def _tls(cfg: Config) -> dict[str, Any]:
    if not cfg.is_ssl:
        return {}
    context = ssl_context(cfg)
    # Who only half-closes still gets its answer. Whether a body is whole, its own frame tells
    # (RFC 9112 section 9.8).
    context.options |= OP_IGNORE_UNEXPECTED_EOF
    return {"ssl_context": context}


class _Server(StreamServer):
    """Accepts connections, and waits for a TLS handshake no longer than for a request's head."""

    def wrap_socket_and_handle(self, client_socket: socket, address: Any) -> None:
        client_socket.settimeout(TransferWorker.head_timeout)
        with suppress(TimeoutError, OSError):
            wrapped = self.wrap_socket(client_socket, **self.ssl_args)  # type: ignore[misc, arg-type]
            try:
                self.handle(wrapped, address)
            finally:
                wrapped.close()


class Connection:
    """One client's requests, one after the other."""

    def __init__(
        self, worker: TransferWorker, environs: Environs, client: socket, addr: Any
    ) -> None:
        self._worker = worker
        self._cfg = worker.cfg
        self._client = client
        self._addr = addr
        self._environs = environs
        self._source = Source(client)

    def serve(self) -> None:
        """Answer requests until either side has had enough."""
        number = 0
        while True:
            number += 1
            try:
                request = self._next_request(number)
            except REFUSED as error:
                self._refuse(error)
                return
            if request is None or not self._answer(request):
                return
            gevent.sleep(0)  # a client that never makes us wait must not keep the others waiting

    def _next_request(self, number: int) -> Request | None:
        """The head of the next request; None when no further one comes."""
        source, worker = self._source, self._worker
        early = source.take_buffered()
        if not early:
            self._client.settimeout(self._cfg.keepalive if number > 1 else worker.head_timeout)
            with worker.idle(self._client, number):
                if number > 1 and not worker.alive:
                    return None
                try:
                    early = source.chunk()
                except TimeoutError:
                    return None
                except OSError:
                    if worker.alive:
                        raise
                    return None  # the shutdown has closed it
        if not early:
            return None
        source.unread(early)
        source.deadline = time.monotonic() + worker.head_timeout
        request = Request(self._cfg, source, self._addr, number)
        source.deadline = None
        if any(n == "TRANSFER-ENCODING" and v.lower() != "chunked" for n, v in request.headers):
            raise UnsupportedTransferCoding("the only transfer coding taken here is chunked")
        host = next((value for name, value in request.headers if name == "HOST"), None)
        if not _HOST.fullmatch(host or "") and (host or request.version >= (1, 1)):
            raise InvalidHeader("HOST")  # RFC 9112 section 3.2
        self._client.settimeout(worker.idle_timeout)
        return request

    def _answer(self, request: Request) -> bool:
        """Have the application answer; whether the connection can go on."""
        worker, started = self._worker, datetime.now(UTC)
        expects = request._expected_100_continue
        request._expected_100_continue = False  # gunicorn would answer it at once
        body = self._body(request, expects)
        request.body = io.BufferedReader(body)
        response = TransferResponse(
            request,
            self._client,
            self._cfg,
            lambda: not worker.alive or not _reusable(body, awaited=expects and not body.begun),
        )
        environ = self._environs.make(request, self._client, self._addr)
        # nginx, for one, takes an interim answer for the final one.
        if request.version >= (1, 1) and _FIELDS_OF_PROXIES.isdisjoint(environ):
            environ["transfer.inform"] = self._inform
        self._count_request()
        try:
            answer = worker.wsgi(environ, response.start_response)
        except Exception as error:
            worker.log.exception("the application failed")
            self._refuse(error)
            return False
        try:
            response.send_body(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
            worker.log.access(response, request, environ, datetime.now(UTC) - started)
        if response.should_close():
            linger(self._client)
            return False
        return discard(self._client, body.forget_received() or 0)

    def _inform(self, status: str, fields: Mapping[str, str]) -> None:
        """Send an interim answer (RFC 9110 section 15.2), for the application to call."""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
        send(self._client, "\r\n".join([*lines, "", ""]).encode("latin-1"))

    def _refuse(self, error: Exception) -> None:
        self._client.settimeout(self._worker.idle_timeout)
        send(self._client, refusal(error))
        linger(self._client)

    def _body(self, request: Request, expects: bool) -> Body:
        def begin() -> None:
            if expects:
                send(self._client, b"HTTP/1.1 100 Continue\r\n\r\n")

        reader = request.body.reader
        if isinstance(reader, ChunkedReader):
            return ChunkedBody(reader, begin)
        length = reader.length if isinstance(reader, LengthReader) else 0
        return LengthBody(self._source, begin, length)

    def _count_request(self) -> None:
        worker = self._worker
        worker.nr += 1
        if worker.nr >= worker.max_requests and worker.alive:
            worker.log.info("Autorestarting worker after current request.")
            worker.stop_soon()


def _reusable(body: Body, *, awaited: bool) -> bool:
    """Whether the next request can follow this body on the connection.

    A client that awaits 100 Continue may send the body or not once it has the final answer: where
    the next request begins is then unknown.
    """
    if body.at_end or body.failed:
        return body.at_end
    return not awaited and body.left is not None and body.left <= _SMALL_BODY
