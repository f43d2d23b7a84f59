"""X-HTTP-Method-Override, for clients of tus that cannot send PATCH or DELETE."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from fileservice.protocols import tus

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class MethodOverride:
    """WSGI middleware for clients that cannot send PATCH or DELETE: X-HTTP-Method-Override."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
        if not method or not environ.get("PATH_INFO", "").startswith(tus.PREFIX):
            return self._app(environ, start_response)
        sent, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], method.upper()
        if environ["REQUEST_METHOD"] != "HEAD" or sent == "HEAD":
            return self._app(environ, start_response)

        def start_without_body(
            status: str, headers: list[tuple[str, str]], *more: Any
        ) -> Callable[[bytes], object]:
            # The answer to a HEAD has no body, and the length of one all the same.
            fields = [field for field in headers if field[0].lower() != "content-length"]
            return start_response(status, [*fields, ("Content-Length", "0")], *more)

        return self._app(environ, start_without_body)
