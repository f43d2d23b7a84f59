"""EventReceiver: sends one request to the receiver of the events.

An address that is not a public one is refused unless the operator allows it. It is looked up once
for each request, checked, and connected to, so that a name which resolves to another address the
next time (DNS rebinding) does not lead elsewhere. Redirects are not followed, and no proxy is used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from fileservice import __version__
from fileservice.events.signature import signature_fields

_SECONDS = 15.0
_MAX_ANSWER = 4096
"""Bytes of the body of an answer that are read, so that the receiver can send a short one."""
_EMBEDDING = (
    ipaddress.IPv6Network("64:ff9b::/96"),  # RFC 6052 section 2.1
    ipaddress.IPv6Network("::/96"),  # RFC 4291 section 2.5.5.1
)
"""Addresses whose last 32 bits are an IPv4 address that they stand for."""
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""RFC 8215. Where in such an address the IPv4 address is depends on the network."""


class ReceiverUnavailable(Exception):
    """The receiver could not be reached, or has not answered in time; says why."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the receiver has answered."""

    status: int
    retry_after: float | None
    """For how many seconds it wants no request; None if it does not say."""


class EventReceiver:
    """The receiver at a URL; the requests are signed with `secret`."""

    def __init__(
        self,
        url: str,
        secret: bytes,
        *,
        allow_private: bool = False,
        seconds: float = _SECONDS,
    ) -> None:
        """`seconds` is the time limit of a request."""
        parts = urlsplit(url)
        assert parts.hostname
        self._host = parts.hostname
        # It has all certificates of authorities, so it is made once.
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._authority = parts.netloc
        self._secret = secret
        self._allow_private = allow_private
        self._seconds = seconds
        self.label = f"{parts.scheme}://{parts.netloc}"
        """What the log calls it. The rest of its URL may be a secret."""

    def post(self, event_id: str, body: bytes, trace_parent: str = "") -> Response:
        """Report an event, in the trace of the request that has caused it.

        Blocks. Raise ReceiverUnavailable.
        """
        fields = {
            "Host": self._authority,
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": f"fileservice/{__version__}",
            "Connection": "close",
            **signature_fields(self._secret, event_id, int(time.time()), body),
        }
        if trace_parent:
            fields["traceparent"] = trace_parent
        try:
            deadline = time.monotonic() + self._seconds
            with self._connection(deadline) as connection:
                response = self._exchange(connection, body, fields)
            if time.monotonic() > deadline:
                raise TimeoutError  # http.client takes the end of the connection for that of a head
            return response
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise ReceiverUnavailable(_reason(error)) from None

    def _exchange(
        self, connection: http.client.HTTPConnection, body: bytes, fields: Mapping[str, str]
    ) -> Response:
        connection.request("POST", self._target, body, dict(fields))
        answer = connection.getresponse()
        with suppress(OSError, http.client.HTTPException):  # the status is all that counts
            answer.read(_MAX_ANSWER)
        return Response(answer.status, _seconds_of(answer.getheader("Retry-After")))

    @contextmanager
    def _connection(self, deadline: float) -> Iterator[http.client.HTTPConnection]:
        """Connect to the receiver; after the deadline, the connection is shut down."""
        opened = self._connect(deadline)
        # A socket's own limit is for each call, and a receiver may send a byte from time to time.
        limit = threading.Timer(max(0.0, deadline - time.monotonic()), _shut_down, (opened,))
        limit.daemon = True
        limit.start()
        connection = http.client.HTTPConnection(self._host, self._port)
        try:
            if self._tls:
                opened = self._tls.wrap_socket(
                    opened, server_hostname=self._host, do_handshake_on_connect=False
                )
                limit.args = (opened,)
                opened.do_handshake()
            connection.sock = opened
            yield connection
        finally:
            limit.cancel()
            connection.close()
            opened.close()

    def _connect(self, deadline: float) -> socket.socket:
        """Return a connection to the first address of the receiver that answers."""
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        allowed = [entry for entry in found if self._allow_private or is_public(entry[4][0])]
        if not allowed:
            raise OSError("its address is not a public one; see FILESERVICE_ON_STORED_PRIVATE")
        latest: OSError = TimeoutError("it does not answer")
        for family, kind, protocol, _, address in allowed:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                break
            candidate = socket.socket(family, kind, protocol)
            try:
                candidate.settimeout(seconds)
                candidate.connect(address)
            except OSError as error:
                candidate.close()
                latest = error
            else:
                return candidate
        raise latest


def is_public(address: str | int) -> bool:
    """Return whether an IP address can be reached from the whole Internet, or may be.

    Addresses that stand for IPv4 addresses are judged by these.
    """
    parsed = ipaddress.ip_address(str(address).partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        embedded = parsed.ipv4_mapped or parsed.sixtofour
        if any(parsed in network for network in _EMBEDDING):
            embedded = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
        if parsed.teredo is not None or parsed in _LOCAL_NAT64:
            return False
    return parsed.is_global and not parsed.is_multicast


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)


def _seconds_of(text: str | None) -> float | None:
    """Return the seconds of a Retry-After field (RFC 9110 section 10.2.3); a date is ignored."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__
