"""Connection: HTTP/1.1 with one client, from request to request (RFC 9112)."""

import io
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import gevent
from gevent.socket import socket
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, UnsupportedTransferCoding
from gunicorn.http.message import Request

from fileservice.serving.body import Body, ChunkedBody, LengthBody
from fileservice.serving.environ import Environs
from fileservice.serving.error_responses import REFUSED, refusal
from fileservice.serving.response import TransferResponse
from fileservice.serving.source import Source
from fileservice.serving.transmit import discard, linger, send

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
_SMALL_BODY = 64 * 1024
"""An unread body up to this size (bytes) is read and thrown away to keep the connection."""
_LOGGED_LINE = 256
"""Bytes of the first line of a head that was refused that are logged."""
_FIELDS_OF_PROXIES = frozenset(
    "HTTP_VIA HTTP_FORWARDED HTTP_X_FORWARDED_FOR HTTP_X_FORWARDED_PROTO HTTP_X_FORWARDED_HOST "
    "HTTP_X_FORWARDED_PREFIX HTTP_X_REAL_IP".split()
)
"""Believed from anybody: whoever makes one up only goes without interim answers."""


class Worker(Protocol):
    """What a connection asks of the process that serves it."""

    cfg: Any
    log: Any
    wsgi: Any
    alive: bool
    serving: bool
    stopping: bool
    head_timeout: ClassVar[float]
    idle_timeout: ClassVar[float]

    def idle(self, connection: socket, number: int) -> AbstractContextManager[None]: ...

    def yielding(self, connection: socket) -> AbstractContextManager[None]: ...

    def count_request(self) -> None: ...

    def queued(self) -> float | None: ...


class Connection:
    """One client's requests, one after the other."""

    def __init__(
        self,
        worker: Worker,
        environs: Environs,
        client: socket,
        addr: Any,
        queued: float | None = None,
    ) -> None:
        """`queued` is for how many seconds it waited if that was for too long (see queueing)."""
        self._worker = worker
        self._cfg = worker.cfg
        self._client = client
        self._addr = addr
        self._environs = environs
        self._source = Source(client)
        self._begun = 0.0  # when the request began, on the clock of time.monotonic
        self._request_line = ""
        self._early = b""
        self._queued = queued

    def __str__(self) -> str:
        peer = "{}:{}".format(*self._addr) if isinstance(self._addr, tuple) else "a Unix socket"
        return f"{self._request_line or 'connection'} from {peer}"

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
        self._request_line = ""
        early = source.take_buffered()
        if not early:
            self._client.settimeout(self._cfg.keepalive if number > 1 else worker.head_timeout)
            with worker.idle(self._client, number):
                early = source.first_chunk()
        if not early:
            return None
        self._begun = time.monotonic()
        self._early = early
        source.begin_head(early, worker.head_timeout)
        try:
            with worker.yielding(self._client):
                request = Request(self._cfg, source, self._addr, number)
        except TimeoutError:
            raise
        except OSError:
            return None  # the client went in the middle, or has given way to another
        source.end_head()
        if any(n == "TRANSFER-ENCODING" and v.lower() != "chunked" for n, v in request.headers):
            raise UnsupportedTransferCoding("the only transfer coding taken here is chunked")
        host = next((value for name, value in request.headers if name == "HOST"), None)
        if not _HOST.fullmatch(host or "") and (host or request.version >= (1, 1)):
            raise InvalidHeader("HOST")  # RFC 9112 section 3.2
        _prefer_authority(request)
        self._early = b""
        self._client.settimeout(worker.idle_timeout)
        return request

    def _answer(self, request: Request) -> bool:
        """Have the application answer; whether the connection can go on."""
        worker = self._worker
        self._request_line = f"{request.method} {request.uri}"
        expects = request._expected_100_continue
        request._expected_100_continue = False  # gunicorn would answer it at once
        body = self._body(request, expects)
        request.body = io.BufferedReader(body)

        def reusable() -> bool:
            return _reusable(body, awaited=expects and not body.begun)

        response = TransferResponse(
            request, self._client, self._cfg, lambda: not worker.alive or not reusable()
        )
        environ = self._environs.make(request, self._client, self._addr)
        # nginx, for one, takes an interim answer for the final one.
        if request.version >= (1, 1) and _FIELDS_OF_PROXIES.isdisjoint(environ):
            environ["transfer.inform"] = self._inform
        if worker.stopping:
            environ["transfer.stopping"] = True
        queued = self._queued if request.req_number == 1 else worker.queued()
        if queued is not None:
            environ["transfer.queued"] = queued
        worker.count_request()
        try:
            answered = self._respond(environ, response)
            response.outcome = "aborted: the body broke off" if body.failed else "complete"
        except BaseException as error:
            response.outcome = _outcome(error)
            raise
        finally:
            if worker.log.access_log_enabled:
                worker.log.access(response, request, environ, self._duration())
        if not answered:
            return False
        # Who was told that it is kept may be asking already, even if a stop began since.
        if response.closes or not reusable():
            self._linger()
            return False
        return discard(self._client, body.forget_received() or 0)

    def _respond(self, environ: dict[str, Any], response: TransferResponse) -> bool:
        """Send what the application answers; whether it did answer."""
        try:
            answer = self._worker.wsgi(environ, response.start_response)
        except Exception as error:
            self._worker.log.exception("%s: the application failed", self)
            refused = refusal(error)
            response.status = refused.status
            send(self._client, bytes(refused))
            self._linger()
            return False
        try:
            response.send_body(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return True

    def _inform(self, status: str, fields: Mapping[str, str]) -> None:
        """Send an interim answer (RFC 9110 section 15.2), for the application to call."""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
        send(self._client, "\r\n".join([*lines, "", ""]).encode("latin-1"))

    def _refuse(self, error: Exception) -> None:
        """Answer a head that could not be read."""
        refused = refusal(error)
        log = self._worker.log
        if log.access_log_enabled:
            environ = self._environs.of_refused(_first_line(self._early), self._addr)
            log.access(refused, (), environ, self._duration())
        self._client.settimeout(self._worker.idle_timeout)
        send(self._client, bytes(refused))
        self._linger()

    def _linger(self) -> None:
        with self._worker.yielding(self._client):
            linger(self._client)

    def _duration(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._begun)

    def _body(self, request: Request, expects: bool) -> Body:
        def begin() -> None:
            if expects:
                send(self._client, b"HTTP/1.1 100 Continue\r\n\r\n")

        reader = request.body.reader
        if isinstance(reader, ChunkedReader):
            return ChunkedBody(self._source, begin, reader, self._worker.idle_timeout)
        length = reader.length if isinstance(reader, LengthReader) else 0
        return LengthBody(self._source, begin, length)


def _first_line(head: bytes) -> str:
    """What there is of a request's first line, as far as a log needs it."""
    return head.lstrip(b"\r\n").partition(b"\r\n")[0][:_LOGGED_LINE].decode("latin-1")


def _outcome(error: BaseException) -> str:
    """What the access log says of an answer that `error` ended."""
    match error:
        case gevent.GreenletExit():
            return "cut: the service stops"
        case TimeoutError():
            return "aborted: the client took nothing"
        case OSError():
            return "aborted: the client went away"
    return f"failed: {error}"


def _prefer_authority(request: Request) -> None:
    """Take the host from a target in absolute-form (RFC 9112 section 3.2.2), not from Host."""
    if request.uri.startswith("/") or "://" not in request.uri:
        return
    authority = urlsplit(request.uri).netloc
    if not _HOST.fullmatch(authority):
        raise InvalidRequestLine(request.uri)
    request.headers = [(name, value) for name, value in request.headers if name != "HOST"]
    request.headers.append(("HOST", authority))
    request.path = request.path or "/"


def _reusable(body: Body, *, awaited: bool) -> bool:
    """Whether the next request can follow this body on the connection.

    A client that awaits 100 Continue may send the body or not once it has the final answer: where
    the next request begins is then unknown.
    """
    if body.at_end or body.failed:
        return body.at_end
    return not awaited and body.left is not None and body.left <= _SMALL_BODY
