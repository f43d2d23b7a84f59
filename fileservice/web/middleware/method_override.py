"""X-HTTP-Method-Override, for tus clients that cannot send PATCH or DELETE (tus 1.0.0)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from fileservice.protocols import tus

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def register(app: Flask) -> None:
    """Make `app` use the method that X-HTTP-Method-Override names, below the path of tus."""
    app.wsgi_app = MethodOverride(app.wsgi_app)  # type: ignore[method-assign]


class MethodOverride:
    """WSGI middleware that replaces the method of a request by the one that a field names."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
        if not method or not tus.is_below_prefix(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        sent, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], method.upper()
        if environ["REQUEST_METHOD"] != "HEAD" or sent == "HEAD":
            return self._app(environ, start_response)

        def start_without_body(
            status: str, headers: list[tuple[str, str]], *more: Any
        ) -> Callable[[bytes], object]:
            # A response to HEAD gives the length of a body that it does not have. The client sent
            # another method, and would wait for that body.
            fields = [field for field in headers if field[0].lower() != "content-length"]
            return start_response(status, [*fields, ("Content-Length", "0")], *more)

        return self._app(environ, start_without_body)
