"""The exit status of the commands that use a service, and of those that read whole stores."""

from collections.abc import Mapping
from http import HTTPStatus

from fileservice.client import (
    ClientError,
    DigestMismatch,
    FileExists,
    InUse,
    Refused,
    Unavailable,
)

FAILED = 1
DAMAGED = 3
"""Bytes do not have the digest that they should have."""
EXISTS = 4
"""Another file has the name."""
NOT_FOUND = 5
NOT_ALLOWED = 6
UNAVAILABLE = 7
"""The service does not answer, or another process does the same; it may work later."""

_OF_RESPONSE: Mapping[int, int] = {
    HTTPStatus.UNAUTHORIZED: NOT_ALLOWED,
    HTTPStatus.FORBIDDEN: NOT_ALLOWED,
    HTTPStatus.NOT_FOUND: NOT_FOUND,
    HTTPStatus.GONE: NOT_FOUND,
}
_OF_CODE = {"name-taken": EXISTS, "digest-mismatch": DAMAGED, "file-damaged": DAMAGED}


def exit_status(error: ClientError) -> int:
    """Return the exit status for an error of the client."""
    if isinstance(error, Refused):
        by_status = _OF_RESPONSE.get(error.status, FAILED)
        return _OF_CODE.get(error.code, by_status)
    if isinstance(error, (Unavailable, InUse)):
        return UNAVAILABLE
    if isinstance(error, DigestMismatch):
        return DAMAGED
    return EXISTS if isinstance(error, FileExists) else FAILED
