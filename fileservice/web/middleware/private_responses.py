"""Keep what only some may see out of caches that others share.

A cache that clients share does not store the answer to a request with Authorization (RFC 9111
section 3.5), but knows nothing about cookies. The cache of a browser stays when its user signs out.
"""

from flask import Flask, Response, request

from fileservice.access import PrincipalKind
from fileservice.web.door import known_principal

_FOR_ANYBODY = (None, "no-cache")
"""Values of Cache-Control with which the answer to an anonymous request may be stored."""


def register(app: Flask) -> None:
    """Let only the client's own cache store what is not for anybody, and use it only if asked."""

    @app.after_request
    def restrict(response: Response) -> Response:
        principal = known_principal(request.environ)
        is_known = principal is not None and principal.kind is not PrincipalKind.ANONYMOUS
        if is_known and response.headers.get("Cache-Control") in _FOR_ANYBODY:
            response.headers["Cache-Control"] = "private, no-cache"
        return response
