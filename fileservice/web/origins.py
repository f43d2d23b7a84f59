"""Pages of other origins that may use the service (an origin is that of RFC 6454).

The operator names their origins, or says that the pages of all may. Where all may, a page gets only
what it could have without the person who has opened it: the rights of the anonymous principal, and
those of a token whose secret the page knows and sends as Bearer. Everything else that shows who
makes a request is added without the page, by the browser (cookies, Basic) or by a proxy (a field
that names a person), and would give the rights of that person to every page.
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from fileservice.web.identity_fields import IdentityFields

_ANY = "*"


class AllowedOrigins:
    """The origins whose pages may use the service."""

    def __init__(
        self, origins: Collection[str], identity_fields: IdentityFields | None = None
    ) -> None:
        """`*` among the `origins` stands for all."""
        self._named = frozenset(origins) - {_ANY}
        self._any = _ANY in origins
        self._identity_fields = identity_fields or IdentityFields(None)

    def __bool__(self) -> bool:
        return self._any or bool(self._named)

    def permission(self, environ: Mapping[str, Any]) -> str | None:
        """Return what Access-Control-Allow-Origin is in an answer to the request, None for nothing.

        The answer to a preflight says the same for all credentials, since it is asked without them.
        """
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin in self._named:
            return origin
        if not self._any:
            return None
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS"
        return None if self._is_authenticated_unasked(environ) and not is_preflight else _ANY

    def may_embed(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a page may have what it asks for as a part of itself, such as an image.

        Browsers send such a request without Origin, and name the page, or its origin, in Referer
        (RFC 9110 section 10.1.3).
        """
        origin: str = environ.get("HTTP_ORIGIN") or _origin(environ.get("HTTP_REFERER", ""))
        return origin in self._named or (self._any and not self._is_authenticated_unasked(environ))

    def _is_authenticated_unasked(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a browser or a proxy may have added what shows who makes the request."""
        authorization: str | None = environ.get("HTTP_AUTHORIZATION")
        if authorization is not None:
            return authorization.partition(" ")[0].lower() != "bearer"
        return "HTTP_COOKIE" in environ or self._identity_fields.are_in(environ)


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
