"""Connection: HTTP/1.1 with one client, one request after the other (RFC 9112)."""

import io
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import gevent
from gevent.socket import socket

from fileservice.request_record import REQUEST_RECORD, RequestRecord
from fileservice.serving.body import Body, LengthBody
from fileservice.serving.chunks import ChunkedBody
from fileservice.serving.environ import EnvironFactory
from fileservice.serving.error_responses import CLIENT_ERRORS, error_response
from fileservice.serving.gunicorn_api import (
    Request,
    body_length,
    check_trailers,
    expects_continue,
    read_request,
)
from fileservice.serving.head import check_head, request_line
from fileservice.serving.response import TransferResponse
from fileservice.serving.source import Source
from fileservice.serving.transmit import discard, linger, send
from fileservice.wsgi_extensions import (
    OVERDUE_SECONDS,
    REQUEST_BODY,
    RESPONSE_METER,
    SEND_INTERIM_RESPONSE,
    STOPPING,
)

_PROXY_FIELDS = frozenset(
    "HTTP_VIA HTTP_FORWARDED HTTP_X_FORWARDED_FOR HTTP_X_FORWARDED_PROTO HTTP_X_FORWARDED_HOST "
    "HTTP_X_FORWARDED_PREFIX HTTP_X_REAL_IP".split()
)
"""Believed from any client: one that forges them only gets no interim responses."""
_WITH_CONNECTION_SECONDS = 1.0
"""A client that sends its first request later opened the connection in advance."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Limits in seconds; `gunicorn_api` and gunicorn describe each as a setting."""

    idle: float
    head: float
    keepalive: float
    linger: float


class Worker(Protocol):
    """What a connection needs of the process that serves it."""

    request_cfg: Any
    """The configuration, resolved."""
    log: Any
    wsgi: Any
    alive: bool
    stopping: bool
    limits: TimeLimits
    requests_under_way: set[RequestRecord]
    requests_ended: list[RequestRecord]

    def idle(self, connection: socket, number: int) -> AbstractContextManager[None]: ...

    def closable(self, connection: socket) -> AbstractContextManager[None]: ...

    def count_request(self) -> None: ...

    def overdue_seconds(self) -> float | None: ...


class Connection:
    """The requests of one client, one after the other."""

    def __init__(
        self,
        worker: Worker,
        environs: EnvironFactory,
        client: socket,
        addr: Any,
        overdue_seconds: float | None = None,
    ) -> None:
        """`overdue_seconds` is how long the connection waited, if that was too long."""
        self._worker = worker
        self._client = client
        self._addr = addr
        self._environs = environs
        self._source = Source(client)
        self._accepted = time.monotonic()
        self._started = 0.0  # when the request began, on the clock of time.monotonic
        self._request_line = ""
        self._head_start = b""
        self._overdue_seconds = overdue_seconds

    def __str__(self) -> str:
        peer = "{}:{}".format(*self._addr) if isinstance(self._addr, tuple) else "a Unix socket"
        return f"{self._request_line or 'connection'} from {peer}"

    def serve(self) -> None:
        """Respond to requests until the client or the server ends the connection."""
        number = 0
        while True:
            number += 1
            try:
                request = self._next_request(number)
            except CLIENT_ERRORS as error:
                self._reject(error)
                return
            if request is None or not self._respond(request):
                return
            # A client whose requests never make us wait must not make the others wait.
            gevent.sleep(0)

    def _next_request(self, number: int) -> Request | None:
        """Return the next request, whose head has been read; None if no further one comes."""
        source, worker, limits = self._source, self._worker, self._worker.limits
        self._request_line = ""
        received = source.take_buffered()
        if not received:
            self._client.settimeout(limits.keepalive if number > 1 else limits.head)
            with worker.idle(self._client, number):
                received = source.receive_first()
        if not received:
            return None
        self._started = time.monotonic()
        self._head_start = received
        source.begin_head(received, limits.head)
        try:
            with worker.closable(self._client):
                request = read_request(worker.request_cfg, source, self._addr, number)
        except TimeoutError:
            raise
        except OSError:
            return None  # the client closed the connection, or the worker did to make room
        source.end_head()
        check_head(request)
        self._head_start = b""
        self._client.settimeout(limits.idle)
        return request

    def _respond(self, request: Request) -> bool:
        """Have the application respond; return whether the connection can be used further."""
        worker = self._worker
        self._request_line = f"{request.method} {request.uri}"
        body = self._body(request)
        request.body = io.BufferedReader(body)

        response = TransferResponse(
            request,
            self._client,
            worker.request_cfg,
            lambda: not worker.alive or not body.is_reusable(),
        )
        environ = self._environ(request, body)
        version = request.version
        record = environ[REQUEST_RECORD] = RequestRecord(
            request.method, f"{self._request_line} HTTP/{version[0]}.{version[1]}", environ
        )
        record.streams = body, response
        worker.count_request()
        worker.requests_under_way.add(record)
        try:
            responded = self._run_application(environ, response)
            response.outcome = "aborted: the body broke off" if body.failed else "complete"
        except BaseException as error:
            response.outcome = _outcome(error)
            raise
        finally:
            record.status = int(response.status[:3]) if response.status else 0
            record.received, record.sent = body.received, response.delivered
            record.outcome = response.outcome
            self._end(record)
        if not responded:
            return False
        # After "Connection: keep-alive" the client may have sent a request already, even if the
        # worker has received its signal to stop since.
        if response.closes or not body.is_reusable():
            self._linger()
            return False
        unread = body.drop_received()
        return not unread or discard(self._client, unread, worker.limits.linger)

    def _environ(self, request: Request, body: Body) -> dict[str, Any]:
        environ = self._environs.make(request, self._addr)
        environ[REQUEST_BODY] = body
        environ[RESPONSE_METER] = None
        # Some proxies, nginx among them, take an interim response for the final one.
        if request.version >= (1, 1) and environ.keys().isdisjoint(_PROXY_FIELDS):
            environ[SEND_INTERIM_RESPONSE] = self._send_interim_response
        if self._worker.stopping:
            environ[STOPPING] = True
        overdue = self._overdue(request)
        if overdue is not None:
            environ[OVERDUE_SECONDS] = overdue
        return environ

    def _overdue(self, request: Request) -> float | None:
        """Return how long the request waited, if that was too long."""
        waited_by_client = self._started - self._accepted
        if request.req_number == 1 and waited_by_client < _WITH_CONNECTION_SECONDS:
            return self._overdue_seconds
        return self._worker.overdue_seconds()

    def _run_application(self, environ: dict[str, Any], response: TransferResponse) -> bool:
        """Send the application's response; return whether it made one."""
        try:
            body = self._worker.wsgi(environ, response.start_response)
        except Exception as error:
            self._worker.log.exception("%s: the application failed", self)
            failure = error_response(error, environ[REQUEST_RECORD].id)
            response.status = failure.status
            send(self._client, bytes(failure))
            self._linger()
            return False
        response.meter = environ[RESPONSE_METER]
        try:
            response.send_body(body)
        finally:
            if response.meter:
                response.meter.flush()
            if hasattr(body, "close"):  # PEP 3333
                body.close()
        return True

    def _send_interim_response(self, status: str, fields: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
        send(self._client, "\r\n".join([*lines, "", ""]).encode("latin-1"))

    def _reject(self, error: Exception) -> None:
        """Respond to a head that could not be read."""
        line = request_line(self._head_start)
        peer = self._addr[0] if isinstance(self._addr, tuple) else ""
        record = RequestRecord(line.partition(" ")[0], line.strip(), {"REMOTE_ADDR": peer})
        response = error_response(error, record.id)
        record.status, record.sent = int(response.status[:3]), len(response.body)
        record.problem, record.outcome = response.code, response.outcome
        self._end(record)
        self._client.settimeout(self._worker.limits.idle)
        send(self._client, bytes(response))
        self._linger()

    def _linger(self) -> None:
        with self._worker.closable(self._client):
            linger(self._client, self._worker.limits.linger)

    def _end(self, record: RequestRecord) -> None:
        now = time.monotonic()
        record.seconds = now - self._started
        record.end(now)
        self._worker.requests_under_way.discard(record)
        self._worker.requests_ended.append(record)

    def _body(self, request: Request) -> Body:
        def send_continue() -> None:
            send(self._client, b"HTTP/1.1 100 Continue\r\n\r\n")

        on_first_read = send_continue if expects_continue(request) else None
        length = body_length(request)
        if length is not None:
            return LengthBody(self._source, on_first_read, length)
        return ChunkedBody(
            self._source, on_first_read, partial(check_trailers, request), self._worker.limits.idle
        )


def _outcome(error: BaseException) -> str:
    """Return what the request log says about a response that `error` ended."""
    match error:
        case gevent.GreenletExit():
            return "cut: the service stops"
        case TimeoutError():
            return "aborted: the client took nothing"
        case OSError():
            return "aborted: the client went away"
    return f"failed: {error}"
