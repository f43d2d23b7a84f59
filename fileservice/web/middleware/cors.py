"""Cross-origin requests from the origins that the operator names (Fetch standard, section 3.3)."""

from collections.abc import Collection

from flask import Flask, Response, request

from fileservice.web.origins import AllowedOrigins

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED_HEADERS = (
    "Location, Content-Location, Content-Range, ETag, Link, Repr-Digest, Retry-After, Sunset,"
    " WWW-Authenticate,"
    " Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm,"
    " Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires,"
    " Upload-Concat, Upload-Complete, Upload-Limit"
)
_MAX_AGE = 86400
"""Seconds for which a browser may keep the answer to a preflight request."""
_PROXY_PREFIX = "x-forwarded-"


def register(app: Flask, origins: AllowedOrigins, proxy_fields: Collection[str] = ()) -> None:
    """Let scripts of these origins use the service, and read its errors as well.

    Access-Control-Allow-Credentials is never sent, so that scripts read nothing that a browser has
    asked for with cookies or with a password that it knows. Scripts may not send `proxy_fields` and
    X-Forwarded fields, by which a proxy says who the client is: the browser may run beside the
    proxy, and then has its address. Without origins, responses are not changed.
    """
    if not origins:
        return
    forbidden = {field.lower() for field in proxy_fields}

    @app.after_request
    def allow(response: Response) -> Response:
        response.headers.add("Vary", "Origin")
        if not request.headers.get("Origin"):
            return response
        permission = origins.permission(request.environ)
        if permission is None:
            return response
        response.headers["Access-Control-Allow-Origin"] = permission
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
            requested = request.headers.get("Access-Control-Request-Headers", "").split(",")
            allowed = [name for name in map(str.strip, requested) if may_be_sent(name)]
            if any(allowed):
                response.headers["Access-Control-Allow-Headers"] = ",".join(allowed)
        return response

    def may_be_sent(name: str) -> bool:
        return name.lower() not in forbidden and not name.lower().startswith(_PROXY_PREFIX)
