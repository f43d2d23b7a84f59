"""RequestRecord: what is known about one request when it ends, for the log and the metrics.

The server makes a record when it has read the head of a request, and has it in the WSGI environment
(REQUEST_RECORD). The application adds what only it knows: the route, who asks, the problem that it
has answered, and how long the parts of an upload took. When the response has been sent, or cannot
be, the server adds the rest, and passes the record to the observer of its worker. So every request
is reported once, in one place, whichever application has answered it, and also if none has.
"""

import random
from typing import Any, Protocol

REQUEST_RECORD = "fileservice.request_record"
AUDIT_LOGGER = "fileservice.audit"
"""The name of the logger of the audit log, whose messages are complete lines."""


def new_id() -> str:
    """Return an id: 128 random bits in hexadecimal, which a trace-id may have as well.

    It is no secret, so the generator need not be one for secrets, which makes a system call.
    """
    return f"{random.getrandbits(128):032x}"


class StageTimes(dict[str, float]):
    """The seconds that parts of an upload took, by `STAGES`; threads may add to it."""

    def add(self, stage: str, seconds: float) -> None:
        """Add to the seconds of a stage."""
        self[stage] = self.get(stage, 0.0) + seconds


STAGES = ("receive", "inspect", "hash", "sync", "publish")
"""The parts of an upload.

`receive` is from the first byte of the body to the last one, and waits for the client; inspecting
and hashing go on meanwhile. `sync` is until the file is on the disk, and `publish` all that happens
after the last byte, with `sync` in it.
"""


class RequestRecord:
    """One request; texts of the client are as they were sent."""

    __slots__ = (
        "action",
        "agent",
        "client",
        "id",
        "line",
        "method",
        "outcome",
        "parent",
        "principal",
        "problem",
        "received",
        "referer",
        "route",
        "seconds",
        "sent",
        "stages",
        "status",
        "transfer",
    )

    def __init__(self, method: str = "", line: str = "", client: str = "") -> None:
        self.id = new_id()
        """What X-Request-Id of the response says."""
        self.parent = ""
        """The `traceparent` of a trusted proxy (W3C Trace Context, section 3.2); else empty."""
        self.method = method
        self.line = line
        """The request line."""
        self.client = client
        """The address of the client, as the application has found it; empty if it has none."""
        self.agent = self.referer = ""
        self.route = ""
        """The path with placeholders, such as ``/download/<name>``; empty if no route has it."""
        self.principal = ""
        """The id of the principal; empty if it is anonymous or was not looked for."""
        self.action = ""
        """What the principal was allowed to do, or was not; empty if that was not decided."""
        self.problem = ""
        """The code of the problem that was answered; empty if there was none."""
        self.stages = StageTimes()
        self.transfer = ""
        """"upload" or "download" while bytes of a file are received or sent."""
        self.status = 0
        """That of the response; 0 if there was none."""
        self.received = 0
        """Bytes of the body of the request that were read."""
        self.sent = 0
        """Bytes of the body of the response that the kernel has taken."""
        self.seconds = 0.0
        """From the first byte of the request to the end of the response."""
        self.outcome = "-"
        """How the request ended: whether the client went away, for instance."""


class RequestObserver(Protocol):
    """Is told about every request of a worker."""

    def begun(self, record: RequestRecord) -> None:
        """The head of the request has been read."""

    def ended(self, record: RequestRecord) -> None:
        """The response has been sent, or cannot be."""

    def waited(self, seconds: float) -> None:
        """What was ready to run has waited so long for its turn; this is measured all the time."""


def record_of(environ: dict[str, Any]) -> RequestRecord:
    """Return the record of a request; a new one where the server has made none."""
    record: RequestRecord | None = environ.get(REQUEST_RECORD)
    if record is None:
        record = environ[REQUEST_RECORD] = RequestRecord()
    return record
