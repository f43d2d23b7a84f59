"""What several routes read from a request."""

import os
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RD, socket
from ssl import SSLSocket
from typing import TYPE_CHECKING

from flask import request

from fileservice.protocols.conditional import Conditions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CONDITIONAL_FIELDS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")

_LONGEST_ACCEPT = 512


def prefers_html() -> bool:
    """Whether a person is likely to read the answer: browsers name text/html, others do not.

    An Accept longer than any browser's states no preference, since reading it would take long.
    """
    if len(request.environ.get("HTTP_ACCEPT", "")) > _LONGEST_ACCEPT:
        return False
    accepted = request.accept_mimetypes
    return accepted["text/html"] > max(
        accepted["application/json"], accepted["application/problem+json"]
    )


def conditions() -> Conditions:
    """The conditions of the request (RFC 9110 section 13.1)."""
    fields = request.environ
    return Conditions(
        if_match=fields.get("HTTP_IF_MATCH"),
        if_none_match=fields.get("HTTP_IF_NONE_MATCH"),
        if_modified_since=fields.get("HTTP_IF_MODIFIED_SINCE"),
        if_unmodified_since=fields.get("HTTP_IF_UNMODIFIED_SINCE"),
        if_range=fields.get("HTTP_IF_RANGE"),
    )


def client_address(environ: "WSGIEnvironment") -> str:
    """The client's address, as a trusted proxy tells it; empty for a peer on a Unix socket."""
    return environ.get("REMOTE_ADDR") or ""


def interrupt_of(environ: "WSGIEnvironment") -> Callable[[], None]:
    """What makes the body of this request end at once."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")

    def interrupt() -> None:
        with suppress(OSError):  # it is closed already
            if isinstance(connection, SSLSocket):
                # Its own shutdown would forget the encryption, and the answer go out in clear.
                with socket(fileno=os.dup(connection.fileno())) as same:
                    same.shutdown(SHUT_RD)
            elif connection:
                connection.shutdown(SHUT_RD)

    return interrupt
