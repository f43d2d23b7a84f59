"""What our server offers to an application beyond PEP 3333, and what it is replaced by elsewhere.

The application and the server both look an extension up by its name in the WSGI environment. An
application asks with the functions of this module, which also answer under any other server.

REQUEST_BODY           the body of the request, read with a time limit: a RequestBody
SEND_INTERIM_RESPONSE  a SendInterimResponse; absent where no interim response may be sent
STOPPING               True while the service, rather than one worker of it, is being stopped
RESPONSE_METER         the application may set it to a Meter, which is told what is sent
OVERDUE_SECONDS        how long the request waited for the server, if it should be refused for that

A response body that is a FileRegions may be sent by the kernel. The server's `wsgi.file_wrapper`
returns it as it is, so Werkzeug's `send_file` takes one for a file. When it is closed, it tells the
application whether all of it was sent.
"""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from socket import SHUT_RD, socket
from threading import get_ident
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, WSGIEnvironment

REQUEST_BODY = "fileservice.request_body"
SEND_INTERIM_RESPONSE = "fileservice.send_interim_response"
STOPPING = "fileservice.stopping"
RESPONSE_METER = "fileservice.response_meter"
OVERDUE_SECONDS = "fileservice.overdue_seconds"

_BLOCK_SIZE = 256 * 1024


class RequestBody(Protocol):
    """The body of one request."""

    def may_wait(self) -> bool:
        """Return whether this is the thread that handles the request; no other may wait here."""

    def readinto(self, buffer: memoryview) -> int | None:
        """Fill the beginning of `buffer` and return the number of bytes; 0 is the end of the body.

        In a thread that may not wait, return None if nothing has arrived. Raises TimeoutError if
        nothing arrives within the server's time limit, and errors of the server's own if the body
        breaks off. Some servers return 0 instead where it breaks off.
        """

    def arrives_within(self, seconds: float) -> bool:
        """Return whether `readinto` will not have to wait for longer than `seconds`.

        True where the server does not know. Blocks a thread that may not wait for the body.
        """

    def interrupt(self) -> None:
        """Make `readinto` raise or return 0, also if it waits; may be called from any thread.

        Does nothing where the server has no means to.
        """


class SendInterimResponse(Protocol):
    """Sends an interim response (1xx, RFC 9110 section 15.2) before the final one."""

    def __call__(self, status: str, fields: Mapping[str, str]) -> None:
        """Send `status`, such as "104 Upload Resumption Supported". Raises OSError."""


class Meter(Protocol):
    """Counts the bytes of a body as they are received or sent."""

    def count(self, size: int) -> None:
        """Count `size` bytes more."""

    def flush(self) -> None:
        """The body has ended, or will not be continued."""


class MeteredBody:
    """A RequestBody that tells a meter about the bytes of another one."""

    def __init__(self, body: RequestBody, meter: Meter) -> None:
        self._body = body
        self._meter = meter
        self.may_wait = body.may_wait
        self.arrives_within = body.arrives_within
        self.interrupt = body.interrupt

    def readinto(self, buffer: memoryview) -> int | None:
        if not self.may_wait():
            return None  # the meter may wait for a network
        count = self._body.readinto(buffer)
        self._meter.count(count or 0)
        return count


def meter_transfer(environ: "WSGIEnvironment", meter: Meter) -> bool:
    """Have `meter` count the body of the request and of its response.

    Return False if the server does not tell what it sends; only the request is counted then.
    """
    environ[REQUEST_BODY] = MeteredBody(request_body(environ), meter)
    if RESPONSE_METER not in environ:
        return False
    environ[RESPONSE_METER] = meter
    return True


def request_body(environ: "WSGIEnvironment") -> RequestBody:
    """Return the body of the request, under whatever server."""
    body: RequestBody | None = environ.get(REQUEST_BODY)
    return body or _PlainBody(environ)


def interim_response_sender(environ: "WSGIEnvironment") -> SendInterimResponse | None:
    """Return what sends interim responses to this client; None where none may be sent."""
    return cast(SendInterimResponse | None, environ.get(SEND_INTERIM_RESPONSE))


def is_stopping(environ: "WSGIEnvironment") -> bool:
    """Return whether the service is being stopped; False where the server does not say."""
    return bool(environ.get(STOPPING))


def overdue_seconds(environ: "WSGIEnvironment") -> float | None:
    """Return how long the request waited for the server, if that is a reason to refuse it."""
    return cast(float | None, environ.get(OVERDUE_SECONDS))


def shut_down_reading(connection: socket) -> None:
    """Make all reading from `connection` end, in whatever thread; writing goes on."""
    with suppress(OSError):  # the connection is closed already
        if isinstance(connection, ssl.SSLSocket):
            # SSLSocket.shutdown would discard the TLS state, and the response would be sent in
            # clear.
            with socket(fileno=os.dup(connection.fileno())) as duplicate:
                duplicate.shutdown(SHUT_RD)
        else:
            connection.shutdown(SHUT_RD)


class _PlainBody:
    """A RequestBody made of `wsgi.input`, for servers without the extension."""

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._thread = get_ident()
        self._input: InputStream = environ["wsgi.input"]
        self._connection: socket | None = environ.get("gunicorn.socket") or environ.get(
            "werkzeug.socket"
        )

    def may_wait(self) -> bool:
        return get_ident() == self._thread

    def readinto(self, buffer: memoryview) -> int | None:
        if not self.may_wait():
            return None
        data = self._input.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def arrives_within(self, seconds: float) -> bool:  # noqa: ARG002  # the server does not know
        return self.may_wait()

    def interrupt(self) -> None:
        if self._connection:
            shut_down_reading(self._connection)


class FileRegion(NamedTuple):
    """`length` bytes of a file from `offset` on."""

    offset: int
    length: int


class FileRegions:
    """A response body of regions of one file, and bytes before, between and after them.

    A server that knows this class may send the regions from `descriptor`, an offset and a count at
    a time (sendfile(2)). For all others it is an iterable of blocks (PEP 3333), and has `read` and
    `close`, so that any `wsgi.file_wrapper` can wrap it.
    """

    def __init__(
        self,
        file: BinaryIO,
        pieces: Sequence[bytes | FileRegion],
        seek: Callable[[int, int], object],
        on_close: Callable[[int, bool], object] | None = None,
    ) -> None:
        """Close `file` with the body. `seek(start, end)` is called before `file.read` is.

        `seek` must let `file.read` continue at byte `start`; bytes from `end` on are not read until
        it is called again. `on_close` is called once, with how many bytes of the body were sent at
        most, and whether all of it was: taken by the kernel, which does not mean that the client
        has received it.
        """
        self.pieces = pieces
        self.size = sum([len(each) if isinstance(each, bytes) else each.length for each in pieces])
        """The number of bytes in the body."""
        self._file = file
        self._seek = seek
        self._on_close = on_close
        self._sent = 0
        self._is_sent = False
        self._unread: Iterator[bytes] | None = None
        self._rest = memoryview(b"")

    @property
    def descriptor(self) -> int | None:
        """The file's descriptor; None for a file that has none, such as an object of a bucket."""
        try:
            return self._file.fileno()
        except OSError:
            return None

    def __iter__(self) -> Iterator[bytes]:
        for block in _blocks(self._file, self.pieces, self._seek):
            self._sent += len(block)  # a part of it may be sent if the transfer breaks off
            yield block
        self._is_sent = True  # a server asks for the next block when it has sent the one before

    def mark_sent(self, count: int) -> None:
        """Note how many bytes were sent; to be called by a server that does not iterate."""
        self._sent = count
        self._is_sent = count >= self.size

    def read(self, size: int) -> bytes:
        """Return the next bytes of the body, at most `size`, and b"" at its end."""
        if self._unread is None:
            self._unread = iter(self)
        if not self._rest:
            self._rest = memoryview(next(self._unread, b""))
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def close(self) -> None:
        """Close the file, and tell how much of the body was sent."""
        self._file.close()
        on_close, self._on_close = self._on_close, None
        if on_close:
            on_close(self._sent, self._is_sent)


def _blocks(
    file: BinaryIO, pieces: Sequence[bytes | FileRegion], seek: Callable[[int, int], object]
) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        offset, left = piece
        seek(offset, offset + left)
        while left:
            block = file.read(min(left, _BLOCK_SIZE))
            if not block:
                raise EOFError("the file became shorter while it was sent")
            left -= len(block)
            yield block
