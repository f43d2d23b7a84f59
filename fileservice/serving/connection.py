"""Connection: HTTP/1.1 with one client, from request to request (RFC 9112)."""

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import gevent
from gevent.socket import socket
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, UnsupportedTransferCoding
from gunicorn.http.message import Request

from fileservice.serving.body import Body, ChunkedBody, LengthBody
from fileservice.serving.environ import Environs
from fileservice.serving.refusals import REFUSED, refusal
from fileservice.serving.response import TransferResponse
from fileservice.serving.source import Source
from fileservice.serving.transmit import discard, linger, send

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
_SMALL_BODY = 64 * 1024
"""An unread body up to this size (bytes) is read and thrown away to keep the connection."""
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
    head_timeout: ClassVar[float]
    idle_timeout: ClassVar[float]

    def idle(self, connection: socket, number: int) -> AbstractContextManager[None]: ...

    def count_request(self) -> None: ...


class Connection:
    """One client's requests, one after the other."""

    def __init__(self, worker: Worker, environs: Environs, client: socket, addr: Any) -> None:
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
        source.begin_head(early, worker.head_timeout)
        request = Request(self._cfg, source, self._addr, number)
        source.end_head()
        if any(n == "TRANSFER-ENCODING" and v.lower() != "chunked" for n, v in request.headers):
            raise UnsupportedTransferCoding("the only transfer coding taken here is chunked")
        host = next((value for name, value in request.headers if name == "HOST"), None)
        if not _HOST.fullmatch(host or "") and (host or request.version >= (1, 1)):
            raise InvalidHeader("HOST")  # RFC 9112 section 3.2
        _prefer_authority(request)
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
        worker.count_request()
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
