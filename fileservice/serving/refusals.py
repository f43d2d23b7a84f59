"""What is answered where no application answers: to a bad head, or when the application fails."""

import json

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


def refusal(error: Exception) -> bytes:
    """The whole answer (RFC 9457) to a request that raised `error`; the connection then closes."""
    status, reason = next(
        ((status, reason) for kind, status, reason in _STATUSES if isinstance(error, kind)),
        (500, "Internal Server Error"),
    )
    code = "bad-request" if status != 500 else "internal"
    problem = {
        "type": f"urn:fileservice:problem:{code}",
        "title": reason,
        "status": status,
        "code": code,
        "detail": str(error) if status != 500 else "the log says more",
    }
    body = json.dumps(problem).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Content-Type: application/problem+json\r\n"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
