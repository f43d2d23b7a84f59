"""Cookies of this service (RFC 6265bis)."""

from typing import TYPE_CHECKING

from flask import Response
from werkzeug.sansio.http import parse_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Cookies:
    """Cookies of this service, which are sent to nothing else and which no script can read.

    Over TLS, their names have a prefix with which a browser accepts a cookie only from the service
    itself (section 4.1.3). Otherwise, another host of the same domain, or somebody on the network,
    could give a browser the session of somebody else, who would get what its user uploads.
    """

    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url

    def get(self, environ: "WSGIEnvironment", name: str, below: str = "") -> str | None:
        """Return the value of a cookie that was set for the same path."""
        full_name = self._full_name(environ, name, below)
        field: str = environ.get("HTTP_COOKIE", "")
        if full_name not in field:
            return None  # as in most requests
        # Others on the same host set cookies as well, which need not be UTF-8.
        return parse_cookie(field.encode("latin-1").decode(errors="replace")).get(full_name)

    def set(
        self,
        response: Response,
        environ: "WSGIEnvironment",
        name: str,
        value: str,
        max_age: int,
        below: str = "",
    ) -> None:
        """Have the browser keep a cookie for `max_age` seconds; 0 removes it.

        It is sent back with requests for paths that begin with `below`, which is such as `/s/x`;
        without it, with all requests to the service.
        """
        response.set_cookie(
            self._full_name(environ, name, below),
            value,
            max_age=max_age,
            path=_path(environ, below),
            secure=self._is_secure(environ),
            httponly=True,
            samesite="Lax",
        )

    def _full_name(self, environ: "WSGIEnvironment", name: str, below: str) -> str:
        if not self._is_secure(environ):
            return name
        return f"__Host-{name}" if _path(environ, below) == "/" else f"__Secure-{name}"

    def _is_secure(self, environ: "WSGIEnvironment") -> bool:
        if self._public_url:
            return self._public_url.startswith("https:")
        return str(environ["wsgi.url_scheme"]) == "https"


def _path(environ: "WSGIEnvironment", below: str) -> str:
    """Return the path as the browser knows it, with what precedes those of the service."""
    return f"{environ.get('SCRIPT_NAME', '')}{below}" or "/"
