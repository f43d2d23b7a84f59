"""Values that several routes read from a request."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from werkzeug.datastructures import ImmutableMultiDict, MIMEAccept, MultiDict
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Request

from fileservice.protocols.conditional import Conditions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_TRUSTED_PEER = "fileservice.trusted_peer"
_BEHIND_PROXIES = "fileservice.behind_proxies"
_MAX_ACCEPT_LENGTH = 512
NO_CONDITIONS = Conditions()
_CONDITIONAL_FIELDS = frozenset(
    f"HTTP_IF_{name}"
    for name in ("MATCH", "NONE_MATCH", "MODIFIED_SINCE", "UNMODIFIED_SINCE", "RANGE")
)
_NO_ARGUMENTS: ImmutableMultiDict[str, str] = ImmutableMultiDict()


def prefers_html(environ: "WSGIEnvironment") -> bool:
    """Return whether a person will probably read the response.

    Browsers prefer text/html, and other clients do not name it. An Accept that is longer than any
    browser's is not parsed, since that would take long, and states no preference.
    """
    field = environ.get("HTTP_ACCEPT", "")
    if field in ("", "*/*") or len(field) > _MAX_ACCEPT_LENGTH:
        return False
    accepted = parse_accept_header(field, MIMEAccept)
    return accepted["text/html"] > max(
        accepted["application/json"], accepted["application/problem+json"]
    )


def is_by_page(environ: "WSGIEnvironment") -> bool:
    """Return whether a page sent the request, for its script or something in it, and no person.

    Browsers do not say so over a connection that is not encrypted (Fetch Metadata, section 2.1).
    But there, too, they say which page a request comes from, and other programs do not.
    """
    destination: str | None = environ.get("HTTP_SEC_FETCH_DEST")
    if destination is not None:
        return destination.strip().lower() != "document"
    return "HTTP_REFERER" in environ and not prefers_html(environ)


def path_of(environ: "WSGIEnvironment") -> str:
    """Return the path by which a route is chosen; slashes at its start count as one."""
    path: str = environ.get("PATH_INFO", "")
    return "/" + path.lstrip("/")


def query_argument(environ: "WSGIEnvironment", name: str) -> str | None:
    """Return the first argument of this name in the query string."""
    query: str = environ.get("QUERY_STRING", "")
    if not query:
        return None
    arguments = parse_qsl(query, keep_blank_values=True)
    return next((value for key, value in arguments if key == name), None)


def query(environ: "WSGIEnvironment") -> MultiDict[str, str]:
    """Return the arguments in the query string."""
    if not environ.get("QUERY_STRING"):
        return _NO_ARGUMENTS
    return Request(environ, populate_request=False).args


def conditions(environ: "WSGIEnvironment") -> Conditions:
    """Return the conditions of the request (RFC 9110 section 13.1)."""
    if _CONDITIONAL_FIELDS.isdisjoint(environ):
        return NO_CONDITIONS
    return Conditions(
        if_match=environ.get("HTTP_IF_MATCH"),
        if_none_match=environ.get("HTTP_IF_NONE_MATCH"),
        if_modified_since=environ.get("HTTP_IF_MODIFIED_SINCE"),
        if_unmodified_since=environ.get("HTTP_IF_UNMODIFIED_SINCE"),
        if_range=environ.get("HTTP_IF_RANGE"),
    )


def client_address(environ: "WSGIEnvironment") -> str:
    """Return the client's address, "" for a peer on a Unix socket.

    `middleware.proxies` has set it from what a trusted proxy said.
    """
    return environ.get("REMOTE_ADDR") or ""


def mark_trusted_peer(environ: "WSGIEnvironment") -> None:
    """Keep that the peer of the connection is a trusted proxy, before REMOTE_ADDR is replaced."""
    environ[_TRUSTED_PEER] = True


def mark_behind_proxies(environ: "WSGIEnvironment") -> None:
    """Keep that the operator has set up proxies in front of the service."""
    environ[_BEHIND_PROXIES] = True


def is_behind_proxies(environ: Mapping[str, Any]) -> bool:
    """Return whether the operator has set up proxies, which may pass on the request."""
    return environ.get(_BEHIND_PROXIES) is True


def has_trusted_peer(environ: Mapping[str, Any]) -> bool:
    """Return whether the request was received from a trusted proxy, whoever its client is."""
    return environ.get(_TRUSTED_PEER) is True
