"""Cross-origin requests from the origins that the operator names (Fetch standard, section 3.3)."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from fileservice.web.hooks import Hooks
from fileservice.web.link_cookies import PREFIX as LINKS
from fileservice.web.origins import AllowedOrigins

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED_HEADERS = (
    "Accept-Ranges, Content-Disposition, Content-Location, Content-Range, ETag, Link, Location,"
    " Repr-Digest, Retry-After, Sunset, WWW-Authenticate, X-Request-Id,"
    " Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm,"
    " Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires,"
    " Upload-Concat, Upload-Complete, Upload-Limit"
)
_MAX_AGE = 86400
"""Seconds for which a browser may keep the answer to a preflight request."""
_EMBEDDING = "Cross-Origin-Resource-Policy"
_PROXY_PREFIX = "x-forwarded-"


def register(hooks: Hooks, origins: AllowedOrigins, proxy_fields: Collection[str] = ()) -> None:
    """Let scripts of these origins use the service, and read its errors as well.

    Access-Control-Allow-Credentials is never sent, so that scripts read nothing that a browser has
    asked for with cookies or with a password that it knows. Scripts may not send `proxy_fields` and
    X-Forwarded fields, by which a proxy says who the client is: the browser may run beside the
    proxy, and then has its address. Pages of these origins may embed files as well, but not those
    of links. Without origins, responses are not changed.
    """
    if not origins:
        return
    forbidden = {field.lower() for field in proxy_fields}

    @hooks.after
    def allow(environ: "WSGIEnvironment", response: Response) -> None:
        response.headers.add("Vary", "Origin")
        if _EMBEDDING in response.headers and not environ.get("PATH_INFO", "").startswith(LINKS):
            response.headers.add("Vary", "Referer")
            if origins.may_embed(environ):
                response.headers[_EMBEDDING] = "cross-origin"
        if not environ.get("HTTP_ORIGIN"):
            return
        permission = origins.permission(environ)
        if permission is None:
            return
        response.headers["Access-Control-Allow-Origin"] = permission
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        is_options = environ["REQUEST_METHOD"] == "OPTIONS"
        if is_options and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
            requested = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "").split(",")
            allowed = [name for name in map(str.strip, requested) if may_be_sent(name)]
            if any(allowed):
                response.headers["Access-Control-Allow-Headers"] = ",".join(allowed)

    def may_be_sent(name: str) -> bool:
        return name.lower() not in forbidden and not name.lower().startswith(_PROXY_PREFIX)
