"""Values that several routes read from a request."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import request

from fileservice.protocols.conditional import Conditions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CONDITIONAL_FIELDS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")

_TRUSTED_PEER = "fileservice.trusted_peer"
_MAX_ACCEPT_LENGTH = 512


def prefers_html() -> bool:
    """Return whether a person will probably read the response.

    Browsers prefer text/html, and other clients do not name it. An Accept that is longer than any
    browser's is not parsed, since that would take long, and states no preference.
    """
    if len(request.environ.get("HTTP_ACCEPT", "")) > _MAX_ACCEPT_LENGTH:
        return False
    accepted = request.accept_mimetypes
    return accepted["text/html"] > max(
        accepted["application/json"], accepted["application/problem+json"]
    )


def is_by_page() -> bool:
    """Return whether a page sent the request, for its script or something in it, and no person.

    Browsers do not say so over a connection that is not encrypted (Fetch Metadata, section 2.1).
    But there, too, they say which page a request comes from, and other programs do not.
    """
    destination = request.headers.get("Sec-Fetch-Dest")
    if destination is not None:
        return destination.strip().lower() != "document"
    return "Referer" in request.headers and not prefers_html()


def conditions() -> Conditions:
    """Return the conditions of the request (RFC 9110 section 13.1)."""
    fields = request.environ
    return Conditions(
        if_match=fields.get("HTTP_IF_MATCH"),
        if_none_match=fields.get("HTTP_IF_NONE_MATCH"),
        if_modified_since=fields.get("HTTP_IF_MODIFIED_SINCE"),
        if_unmodified_since=fields.get("HTTP_IF_UNMODIFIED_SINCE"),
        if_range=fields.get("HTTP_IF_RANGE"),
    )


def client_address(environ: "WSGIEnvironment") -> str:
    """Return the client's address, "" for a peer on a Unix socket.

    `middleware.proxies` has set it from what a trusted proxy said.
    """
    return environ.get("REMOTE_ADDR") or ""


def mark_trusted_peer(environ: "WSGIEnvironment") -> None:
    """Keep that the peer of the connection is a trusted proxy, before REMOTE_ADDR is replaced."""
    environ[_TRUSTED_PEER] = True


def has_trusted_peer(environ: Mapping[str, Any]) -> bool:
    """Return whether the request was received from a trusted proxy, whoever its client is."""
    return environ.get(_TRUSTED_PEER) is True
