"""RequestRecord: what is known about one request when it ends, for the log and the metrics.

The server makes a record when it has read the head of a request, and has it in the WSGI environment
(REQUEST_RECORD). The application adds what only it knows: the route, who asks, the problem that it
has answered, and how long the parts of an upload took. When the response has been sent, or cannot
be, the server adds the rest, and its worker passes the record to its observers. So every request is
reported once, in one place, whichever application has answered it, and also if none has.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

REQUEST_RECORD = "fileservice.request_record"
trace_parent: ContextVar[str] = ContextVar("trace_parent", default="")
"""The `traceparent` that is passed on from the request that this greenlet or thread works for: that
of its span, or the one that it came with; "" if it has none."""
AUDIT_LOGGER = "fileservice.audit"
"""The name of the logger of the audit log, whose messages are complete lines."""
AUDIT_LOG = "fileservice.audit_log"
"""The AuditLog in the WSGI environment; without one, that logger writes in its caller's thread."""


class AuditLog(Protocol):
    """Has lines written to the audit log, in any thread, without holding up others."""

    def is_blocked(self) -> bool:
        """Return whether the log takes no lines at present."""

    def add(self, line: str) -> Callable[[], bool]:
        """Add a line; return what waits until it is written, and returns False if that takes long.

        Lines are written in their order. One that cannot be written is kept until it can.
        """


_IDS_AT_ONCE = 64
_ids: list[str] = []
"""Those that no request has yet."""


def new_id() -> str:
    """Return an id: 128 random bits in hexadecimal, which a trace-id may have as well."""
    while True:
        try:
            return _ids.pop()
        except IndexError:  # also if another thread has taken the last one
            # One system call for many ids, which is a tenth of the time.
            digits = os.urandom(16 * _IDS_AT_ONCE).hex()
            _ids.extend(digits[start : start + 32] for start in range(0, len(digits), 32))


os.register_at_fork(after_in_child=_ids.clear)


class StageTimes(dict[str, float]):
    """The seconds that parts of an upload took, by `STAGES`; threads may add to it."""

    def add(self, stage: str, seconds: float) -> None:
        """Add to the seconds of a stage."""
        self[stage] = self.get(stage, 0.0) + seconds


_NO_ENVIRON: Mapping[str, Any] = {}
STAGES = ("receive", "inspect", "hash", "sync", "publish")
"""The parts of an upload.

`receive` is from the first byte of the body to the last one, and waits for the client; inspecting
and hashing go on meanwhile. `sync` is until the file is on the disk, and `publish` all that happens
after the last byte, with `sync` in it.
"""


_NO_TIMES = StageTimes()


class ReceivedBody(Protocol):
    """Counts what has been read of the body of a request."""

    received: int
    """Bytes so far."""


class SentBody(Protocol):
    """Counts what has been sent of the body of a response."""

    @property
    def delivered(self) -> int:
        """Bytes that the kernel has taken so far."""


class RequestIds(NamedTuple):
    """By what others know a request: those that it calls, and those that are told what it did."""

    request: str = ""
    trace_parent: str = ""
    """See the variable `trace_parent`."""


NO_REQUEST = RequestIds()
"""What the service does by itself."""


class RequestRecord:
    """One request. What is unknown or usual is said by the class, so that a record costs little."""

    parent = ""
    """The `traceparent` of a trusted proxy (W3C Trace Context, section 3.2); else empty."""
    span = ""
    """The `traceparent` of the request's own span, for those that it calls; empty if spans are not
    made."""
    route = ""
    """The path with placeholders, such as ``/download/<name>``; empty if no route has it."""
    action = ""
    """What the principal was allowed to do, or was not; empty if that was not decided."""
    problem = ""
    """The code of the problem that was answered; empty if there was none."""
    stages: StageTimes = _NO_TIMES
    """The times of an upload; other requests share those of none, which nobody adds to."""
    transfer = ""
    """"upload" or "download" while bytes of a file are received or sent."""
    status = 0
    """That of the response; 0 if there was none."""
    received = 0
    """Bytes of the body of the request that were read."""
    sent = 0
    """Bytes of the body of the response that the kernel has taken."""
    streams: tuple[ReceivedBody, SentBody] | None = None
    """What counts both while the request runs; `received` and `sent` are known at its end."""
    seconds = 0.0
    """From the first byte of the request to the end of the response."""
    ended = 0.0
    """When that was, on the clock of time.monotonic."""
    outcome = "-"
    """How the request ended: whether the client went away, for instance."""
    client: str | None = None
    """The address of the client, once the request has ended; what follows likewise."""
    principal: str | None = None
    """Who made the request, if that is known."""
    referer: str | None = None
    agent: str | None = None
    scheme: str | None = None
    protocol: str | None = None
    """That of the request line, such as HTTP/1.1."""

    def __init__(
        self, method: str = "", line: str = "", environ: Mapping[str, Any] | None = None
    ) -> None:
        self.id = new_id()
        """What X-Request-Id of the response says."""
        self.method = method
        self.line = line
        """The request line, as the client has sent it."""
        self.environ: Mapping[str, Any] = _NO_ENVIRON if environ is None else environ
        """The WSGI environment, until the request has ended."""

    @property
    def ids(self) -> RequestIds:
        """By what others know this request."""
        return RequestIds(self.id, self.span or self.parent)

    def upload_stages(self) -> StageTimes:
        """Return the times of this request, to which the parts of its upload are added."""
        if self.stages is _NO_TIMES:
            self.stages = StageTimes()
        return self.stages

    def moved(self) -> tuple[int, int]:
        """Return how many bytes were received and sent so far."""
        if self.streams is None:
            return self.received, self.sent
        body, response = self.streams
        return body.received, response.delivered

    def end(self, now: float) -> None:
        """Keep when the request has ended, and what the log says about its client.

        The application has put the address of the client and the principal into the environment.
        Let go of that, which has this record: together they would stay in memory. Let go of the
        connection as well, which `streams` know.
        """
        self.ended = now
        self.streams = None
        get, self.environ = self.environ.get, _NO_ENVIRON
        self.client, self.principal = get("REMOTE_ADDR"), get("REMOTE_USER")
        self.referer, self.agent = get("HTTP_REFERER"), get("HTTP_USER_AGENT")
        self.scheme, self.protocol = get("wsgi.url_scheme"), get("SERVER_PROTOCOL")


class RequestObserver(Protocol):
    """Is told about the requests of a worker, ten times a second.

    To tell it about each at once would cost more than what it does with them.
    """

    def observe(
        self, ended: Sequence[RequestRecord], under_way: Collection[RequestRecord], waited: float
    ) -> None:
        """Take note of the requests that have ended since, and of those that have not.

        The records of the former do not change any more. `waited` is how many seconds what was
        ready to run has waited for its turn.
        """

    def close(self) -> None:
        """No more requests follow."""


def record_of(environ: dict[str, Any]) -> RequestRecord:
    """Return the record of a request; a new one where the server has made none."""
    record: RequestRecord | None = environ.get(REQUEST_RECORD)
    if record is None:
        record = environ[REQUEST_RECORD] = RequestRecord()
    return record
