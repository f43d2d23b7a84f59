"""What the other modules use of gunicorn and gevent that neither documents.

Only this module imports gunicorn. tests/serving/test_gunicorn_api.py names each part, so that it
says what broke when a new version of either changes it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from ssl import OP_IGNORE_UNEXPECTED_EOF
from typing import Any

import gevent
from gevent.server import StreamServer
from gevent.socket import socket
from gunicorn import util
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.config import Setting
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from gunicorn.http.message import TOKEN_RE as FIELD_NAME
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import HEADER_VALUE_RE as FIELD_VALUE
from gunicorn.http.wsgi import Response, base_environ
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

__all__ = [
    "CONNECTION_FIELDS",
    "FIELD_NAME",
    "FIELD_VALUE",
    "BaseCommand",
    "BaseLogger",
    "BaseResponse",
    "BaseSource",
    "BaseWorker",
    "Request",
    "add_settings",
    "body_length",
    "check_trailers",
    "errors",
    "expects_continue",
    "is_accept_error",
    "log_loop_errors",
    "path_info",
    "read_request",
    "replace_host",
    "resolved",
    "set_formatter",
    "set_restart_command",
    "shared_environ",
    "tls_context",
]

# The configuration


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not seconds >= 0:
        raise ValueError(f"a number of seconds that is not negative is needed, not {value!r}")
    return seconds


class IdleTimeout(Setting):  # type: ignore[misc]  # gunicorn has no types
    name = "idle_timeout"
    section = "Transfers"
    validator = _seconds
    default = 30.0
    desc = """\
        Seconds within which a client must send or take 1 KiB, or the rest, of a body.
        """


class HeadTimeout(Setting):  # type: ignore[misc]
    name = "head_timeout"
    section = "Transfers"
    validator = _seconds
    default = 15.0
    desc = """\
        Seconds from the first byte of a request's head to its last, and for a TLS handshake.
        """


class LingerTimeout(Setting):  # type: ignore[misc]
    name = "linger_timeout"
    section = "Transfers"
    validator = _seconds
    default = 5.0
    desc = """\
        Seconds without a byte after which a connection is closed whose client still had to send.
        """


class DrainDelay(Setting):  # type: ignore[misc]
    name = "drain_delay"
    section = "Transfers"
    validator = _seconds
    default = 0.0
    desc = """\
        Seconds that a worker continues to serve, and reports that it stops, before it stops.
        """


_SETTINGS = (IdleTimeout, HeadTimeout, LingerTimeout, DrainDelay)


def add_settings(cfg: Any, values: Mapping[str, Any]) -> None:
    """Add the settings above to `cfg`, with their values in the configuration file's `values`.

    To define a class of Setting registers it for every Config that is made from then on. The first
    one of a process is made before the configuration file runs, which imports this module.
    """
    for setting in _SETTINGS:
        if setting.name not in cfg.settings:
            cfg.settings[setting.name] = setting()
            if setting.name in values:
                cfg.set(setting.name, values[setting.name])


def resolved(cfg: Any) -> Any:
    """Return a copy of `cfg` that has the values of its settings as attributes.

    gunicorn looks a setting up in a dictionary of objects, a dozen times for each request.
    """
    copy: Any = object.__new__(type(cfg))
    copy.__dict__ |= cfg.__dict__ | {name: value.get() for name, value in cfg.settings.items()}
    return copy


# The command


class BaseCommand(WSGIApplication):  # type: ignore[misc]
    """The command `gunicorn`, which reads its options from sys.argv at the start and at a reload.

    A subclass overrides `chdir`, which changes to the directory of the configuration.
    """

    cfg: Any


def set_restart_command(server: Any, command: Sequence[str]) -> None:
    """Set the program and its arguments that replace this master process (SIGUSR2).

    gunicorn itself repeats sys.argv, with which `python -m` cannot be repeated.
    """
    server.START_CTX |= {0: command[0], "args": list(command)}


# Requests


class BaseSource(Unreader):  # type: ignore[misc]
    """What the parsers read from; a subclass reads the connection in `chunk`.

    gunicorn's own makes a file in memory for every call of these methods.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffered = b""

    def take_buffered(self) -> bytes:
        """Return what was read ahead, and forget it."""
        data, self._buffered = self._buffered, b""
        return data

    def unread(self, data: bytes) -> None:
        """Have `data` read before everything else."""
        self._buffered = data + self._buffered

    def read(self) -> bytes:
        """Return what was read ahead, or else the next bytes from the connection."""
        return self.take_buffered() or self.chunk()


_FRAMING_FIELDS = ("CONTENT-LENGTH", "TRANSFER-ENCODING")


class _Request(Request):  # type: ignore[misc]
    def _peer_trusted_for_forwarded(self) -> tuple[Mapping[str, str], list[str]]:
        # To find out whether the peer is trusted takes longer than to parse the head.
        if not self.cfg.secure_scheme_headers and not self.cfg.forwarder_headers:
            return {}, []
        return super()._peer_trusted_for_forwarded()  # type: ignore[no-any-return]

    def set_body_reader(self) -> None:
        # gunicorn makes two readers for a request without a body (RFC 9112 section 6.3).
        if any(name in _FRAMING_FIELDS for name, _ in self.headers):
            super().set_body_reader()


def read_request(cfg: Any, source: BaseSource, peer: Any, number: int) -> Request:
    """Read the head of the request with this number on its connection, and parse it.

    `cfg` is `resolved`.
    """
    return _Request(cfg, source, peer, number)


def expects_continue(request: Request) -> bool:
    """Return whether the client waits for 100 Continue (RFC 9110 section 10.1.1)."""
    return bool(request._expected_100_continue)


def body_length(request: Request) -> int | None:
    """Return the length of the body in bytes; None if it comes in chunks."""
    if request.body is None:
        return 0
    reader = request.body.reader
    if isinstance(reader, ChunkedReader):
        return None
    return reader.length  # type: ignore[no-any-return]


def check_trailers(request: Request, section: bytes) -> None:
    """Raise an error if these lines are not fields that may follow a body in chunks."""
    request.parse_headers(section, from_trailer=True)


def replace_host(request: Request, authority: str) -> None:
    """Give the request this Host instead of its own, and "/" for an empty path."""
    request.headers = [(name, value) for name, value in request.headers if name != "HOST"]
    request.headers.append(("HOST", authority))
    request.path = request.path or "/"


def shared_environ(cfg: Any) -> dict[str, Any]:
    """Return the part of a WSGI environment that is the same for all requests of a worker."""
    environ: dict[str, Any] = base_environ(cfg)
    return environ | {"wsgi.multithread": True, "SCRIPT_NAME": ""}


def path_info(request: Request) -> str:
    """Return the path, percent-decoded once, as PEP 3333 has it in PATH_INFO."""
    path: str = request.path
    return util.unquote_to_wsgi_str(path) if "%" in path else path


# Responses

CONNECTION_FIELDS = frozenset[str](util.hop_headers)
"""Fields that describe the connection, and that are the server's to send; in lower case."""


class BaseResponse(Response):  # type: ignore[misc]
    """gunicorn's checks and framing of a response; a subclass sends the bytes in `send_block`.

    The application calls `start_response` and `write`.
    """

    status: str
    chunked: bool
    headers: list[tuple[str, str]]
    response_length: int | None
    headers_sent: bool
    sock: socket

    def send_block(self, data: bytes) -> None:
        """Send a block of the body, which is not empty and does not exceed Content-Length."""
        raise NotImplementedError

    def head(self, date: str, *, closes: bool) -> bytes:
        """Return the status line and the header fields."""
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\nDate: {date}\r\n"
            f"Connection: {'close' if closes else 'keep-alive'}\r\n"
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")

    def _emit_body(self, data: bytes) -> None:
        self.send_block(data)


# The worker


class BaseWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's worker under gevent, whose `run` a subclass replaces."""

    cfg: Any
    log: Any
    wsgi: Any
    sockets: list[socket]
    """The listeners."""
    age: int
    """How many workers the master had started when it started this one."""
    alive: bool
    nr: int
    """The number of requests so far."""
    max_requests: int
    worker_connections: int


def tls_context(cfg: Any) -> Any:
    """Return the SSLContext that `cfg` describes."""
    context = ssl_context(cfg)
    # A client that only half-closes still gets its response. Its own framing shows
    # whether a body is complete (RFC 9112 section 9.8).
    context.options |= OP_IGNORE_UNEXPECTED_EOF
    return context


def log_loop_errors(log: Callable[[Any, Any], None]) -> None:
    """Have `log(context, exc_info)` called with what fails outside of all requests.

    gevent would print it to stderr. `log` may wait, as for the lock of a log that a thread holds.
    The event loop cannot wait, and gevent calls no callback again that raises there, so a server
    whose failure could not be logged at once would accept nothing any more.
    """
    hub: Any = gevent.get_hub()

    def print_exception(context: Any, kind: Any, error: Any, trace: Any) -> None:
        gevent.spawn(log, context, (kind, error, trace))

    hub.print_exception = print_exception


def is_accept_error(context: Any, error: BaseException) -> bool:
    """Return whether this failure, seen by `log_loop_errors`, is one to accept a connection."""
    return isinstance(context, StreamServer) and isinstance(error, OSError)


# The log

BaseLogger = Logger


def set_formatter(
    log: logging.Logger, formatter: Callable[[str | None], logging.Formatter]
) -> None:
    """Replace the formatters of gunicorn's own handlers; `formatter` is given their format."""
    for handler in log.handlers:
        if getattr(handler, "_gunicorn", False):  # gunicorn's own mark; others have none
            format_of_handler = handler.formatter._fmt if handler.formatter else None
            handler.setFormatter(formatter(format_of_handler))
