"""Keep what only some may see out of caches that others share.

A cache that clients share does not store the answer to a request with Authorization (RFC 9111
section 3.5), but knows nothing about cookies. The cache of a browser stays when its user signs out.
"""

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from fileservice.access import PrincipalKind
from fileservice.web.door import known_principal
from fileservice.web.hooks import Hooks

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FOR_ANYBODY = (None, "no-cache")
"""Values of Cache-Control with which the answer to an anonymous request may be stored."""


def register(hooks: Hooks) -> None:
    """Let only the client's own cache store what is not for anybody, and use it only if asked."""

    @hooks.after
    def restrict(environ: "WSGIEnvironment", response: Response) -> None:
        principal = known_principal(environ)
        is_known = principal is not None and principal.kind is not PrincipalKind.ANONYMOUS
        if is_known and response.headers.get("Cache-Control") in _FOR_ANYBODY:
            response.headers["Cache-Control"] = "private, no-cache"
