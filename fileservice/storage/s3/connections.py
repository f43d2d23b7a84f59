"""Connections: HTTP connections to one server, which are kept open between requests.

`http.client` needs a third of the processor time that urllib3 takes for the same request, and a
tenth of that of boto3, which is built on it.
"""

import http.client
import select
import ssl
import time
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.httpsession import ProxyConfiguration
from botocore.utils import get_environ_proxies

from fileservice.storage.s3.timing import Timing

_PIECE = 512 * 1024
"""Bytes of a body that are sent at a time."""
_KEPT = 256
"""Connections that are kept open while no request uses them."""
_SURELY_OPEN_SECONDS = 1.0
"""A connection that was used so recently was not closed by the server for being idle."""


class Answer:
    """The answer to one request. It must be read to its end or closed."""

    def __init__(self, response: http.client.HTTPResponse, end: Callable[[bool], None]) -> None:
        """`end` is called once, and told whether the answer was read completely."""
        self._response = response
        self._end: Callable[[bool], None] | None = end
        self.status = response.status
        self.fields = {name.lower(): value for name, value in response.headers.raw_items()}
        """The header fields, with names in lower case."""

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, at most `size` of them; none at the end.

        Raises HTTPException and OSError if the answer breaks off.
        """
        try:
            data = self._response.read(size)
            if not data and size and self._response.length:
                raise http.client.IncompleteRead(b"", self._response.length)
        except BaseException:
            self.close()
            raise
        if self._response.isclosed():
            self._finish(complete=True)
        return data

    def close(self) -> None:
        """Close the connection if bytes are left: they are not waited for."""
        self._finish(complete=False)

    def _finish(self, *, complete: bool) -> None:
        end, self._end = self._end, None
        if end:
            end(complete)


class Connections:
    """Connections to the server of a URL, through a proxy if the environment names one.

    Threads may share them, and greenlets where sockets are patched.
    """

    def __init__(self, url: str, ca_file: str, timing: Timing) -> None:
        """`ca_file` has the certificates of the authorities that a TLS server is verified by."""
        self._timing = timing
        self._server = urlsplit(url)
        self._tls = None
        if self._server.scheme == "https":
            self._tls = ssl.create_default_context(cafile=ca_file)
        self._proxy = _Proxy.of(url)
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        """Those that no request uses, and when each was used last; the latest is the last."""
        weakref.finalize(self, _close, self._idle)

    def send(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes | bytearray
    ) -> Answer:
        """Send a request, and return when the head of its answer has arrived.

        Raises HTTPException and OSError if there is none.
        """
        connection = self._connect()
        try:
            if self._proxy and not self._tls:  # RFC 9112, 3.2.2
                target = f"http://{self._server.netloc}{target}"
                fields = {**fields, **self._proxy.fields}
            connection.putrequest(method, target, skip_host=True)
            for name, value in fields.items():
                connection.putheader(name, value)
            # A server may answer, and close the connection, before it has read the whole body.
            with (
                suppress(BrokenPipeError, ConnectionResetError),
                closing(_pieces(body)) as pieces,
            ):
                connection.endheaders(pieces)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return Answer(response, lambda complete: self._end(connection, reusable=complete))

    def close(self) -> None:
        """Close all connections that no request uses."""
        _close(self._idle)

    def _connect(self) -> http.client.HTTPConnection:
        with suppress(IndexError):
            while True:
                connection, used = self._idle.pop()
                if time.monotonic() - used < _SURELY_OPEN_SECONDS or _is_open(connection):
                    return connection
                connection.close()
        connection = self._new_connection()
        connection.connect()
        connection.sock.settimeout(self._timing.read)
        return connection

    def _new_connection(self) -> http.client.HTTPConnection:
        host, port = self._server.hostname or "", self._server.port
        seconds, proxy = self._timing.connect, self._proxy
        if self._tls is None:
            if proxy:
                host, port = proxy.host, proxy.port
            return http.client.HTTPConnection(host, port, timeout=seconds)
        if not proxy:
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)
        connection = http.client.HTTPSConnection(
            proxy.host, proxy.port, timeout=seconds, context=self._tls
        )
        connection.set_tunnel(host, port, dict(proxy.fields))
        return connection

    def _end(self, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        # Without a socket, the connection was closed because the server said so.
        if reusable and connection.sock is not None and len(self._idle) < _KEPT:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()


class _Proxy(NamedTuple):
    """A proxy that a request goes through."""

    host: str
    port: int | None
    fields: Mapping[str, str]
    """Header fields for the proxy."""

    @classmethod
    def of(cls, url: str) -> "_Proxy | None":
        """Return the proxy for a URL that the environment names (HTTPS_PROXY and others)."""
        proxies = ProxyConfiguration(get_environ_proxies(url))
        proxy_url = proxies.proxy_url_for(url)
        if not proxy_url:
            return None
        proxy = urlsplit(proxy_url)
        return cls(proxy.hostname or "", proxy.port, proxies.proxy_headers_for(proxy_url))


def _pieces(body: bytes | bytearray) -> Generator[memoryview, None, None]:
    """Yield a body in pieces, each of which the server must take within the time limit.

    Once this is closed, the body can be resized, even if an error refers to the last piece.
    """
    with memoryview(body) as view:
        for start in range(0, len(view), _PIECE):
            with view[start : start + _PIECE] as piece:
                yield piece


def _close(idle: list[tuple[http.client.HTTPConnection, float]]) -> None:
    while idle:
        idle.pop()[0].close()


def _is_open(connection: http.client.HTTPConnection) -> bool:
    """Return whether nothing has arrived on a connection that waits for nothing."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return not waiting.poll(0)
