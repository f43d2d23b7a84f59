"""What is answered where no application answers: to a bad head, or when the application fails."""

import json
from dataclasses import dataclass

from gunicorn.http import errors

_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitRequestLine, 414, "URI Too Long"),
    (errors.LimitRequestHeaders, 431, "Request Header Fields Too Large"),
    (errors.UnsupportedTransferCoding, 501, "Not Implemented"),
    (errors.InvalidHTTPVersion, 505, "HTTP Version Not Supported"),
    (errors.ExpectationFailed, 417, "Expectation Failed"),
    (errors.ParseException, 400, "Bad Request"),
    (TimeoutError, 408, "Request Timeout"),
)
REFUSED = (errors.ParseException, TimeoutError)
"""What reading a head may raise when the client is to blame, and still there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The whole answer; the access log asks of it what it asks of gunicorn's Response."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    outcome: str

    @property
    def sent(self) -> int:
        """Bytes of the body."""
        return len(self.body)

    def __bytes__(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"HTTP/1.1 {self.status}\r\n{fields}\r\n".encode("latin-1") + self.body


def refusal(error: Exception) -> Refusal:
    """The answer (RFC 9457) to a request that raised `error`; the connection then closes."""
    status, reason = next(
        ((status, reason) for kind, status, reason in _STATUSES if isinstance(error, kind)),
        (500, "Internal Server Error"),
    )
    code = "bad-request" if status != 500 else "internal"
    detail = str(error) if status != 500 else "the log says more"
    problem = {
        "type": f"urn:fileservice:problem:{code}",
        "title": reason,
        "status": status,
        "code": code,
        "detail": detail,
    }
    body = json.dumps(problem).encode() + b"\n"
    fields = [
        ("Content-Type", "application/problem+json"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    return Refusal(f"{status} {reason}", fields, body, f"refused: {detail}")
