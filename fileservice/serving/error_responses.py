"""The responses of the server itself: to a bad head, and when the application fails."""

import json
from dataclasses import dataclass

from fileservice.serving.gunicorn_api import errors
from fileservice.serving.redaction import without_secrets

_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitRequestLine, 414, "URI Too Long"),
    (errors.LimitRequestHeaders, 431, "Request Header Fields Too Large"),
    (errors.UnsupportedTransferCoding, 501, "Not Implemented"),
    (errors.InvalidHTTPVersion, 505, "HTTP Version Not Supported"),
    (errors.ExpectationFailed, 417, "Expectation Failed"),
    (errors.ParseException, 400, "Bad Request"),
    (TimeoutError, 408, "Request Timeout"),
)
CLIENT_ERRORS = (errors.ParseException, TimeoutError)
"""Reading a head raises one of these if the client sent a bad one, and still waits for a response.
"""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A complete response."""

    status: str
    code: str
    """That of the problem."""
    headers: list[tuple[str, str]]
    body: bytes
    outcome: str
    """How the request ended, for the request log."""

    def __bytes__(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"HTTP/1.1 {self.status}\r\n{fields}\r\n".encode("latin-1") + self.body


def error_response(error: Exception, request_id: str) -> ErrorResponse:
    """Return the response (RFC 9457) to a request that raised `error`; it closes the connection."""
    status, reason = next(
        ((status, reason) for cls, status, reason in _STATUSES if isinstance(error, cls)),
        (500, "Internal Server Error"),
    )
    code = "bad-request" if status != 500 else "internal"
    detail = without_secrets(str(error)) if status != 500 else "the log says more"
    problem = {
        "type": f"urn:fileservice:problem:{code}",
        "title": reason,
        "status": status,
        "code": code,
        "detail": detail,
        "request-id": request_id,
    }
    body = json.dumps(problem).encode() + b"\n"
    fields = [
        ("Content-Type", "application/problem+json"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body))),
        ("X-Request-Id", request_id),
        ("Connection", "close"),
    ]
    return ErrorResponse(f"{status} {reason}", code, fields, body, f"refused: {detail}")
