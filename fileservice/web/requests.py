"""What several routes read from a request."""

from typing import TYPE_CHECKING

from flask import request
from werkzeug.routing import BaseConverter

from fileservice.protocols.conditional import Conditions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CONDITIONAL_FIELDS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")

_LONGEST_ACCEPT = 512


class NameConverter(BaseConverter):
    """The rest of a path, whatever it is, so that a bad name is refused for what is wrong with it.

    Only routes are found with it; the name itself is read by `raw_name`.
    """

    regex = r"[\s\S]+"
    part_isolating = False


def raw_name(prefix: str) -> bytes:
    """What follows `prefix` in the path, percent-decoded once and in no other way changed."""
    return request.environ["PATH_INFO"].removeprefix(prefix).encode("latin-1")  # type: ignore[no-any-return]


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
