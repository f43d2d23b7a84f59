"""Cross-origin requests from the origins that the operator names (Fetch standard, section 3.3)."""

from collections.abc import Collection

from flask import Flask, Response, request

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED_HEADERS = (
    "Location, Content-Location, Content-Range, ETag, Link, Repr-Digest, Retry-After,"
    " Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm,"
    " Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires,"
    " Upload-Concat, Upload-Complete, Upload-Limit"
)
_MAX_AGE = 86400
"""Seconds for which a browser may keep the answer to a preflight request."""


def register(app: Flask, origins: Collection[str]) -> None:
    """Let scripts of these origins use the service; `*` stands for all. No cookies are allowed.

    Without origins, responses are not changed.
    """
    if not origins:
        return

    @app.after_request
    def allow(response: Response) -> Response:
        origin = request.headers.get("Origin")
        response.headers.add("Vary", "Origin")
        if not origin or ("*" not in origins and origin not in origins):
            return response
        response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
            requested = request.headers.get("Access-Control-Request-Headers")
            if requested:
                response.headers["Access-Control-Allow-Headers"] = requested
        return response
