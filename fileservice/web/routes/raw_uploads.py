"""PUT and POST /upload/<name>: the body is the file.

`RawUploads` receives them. It is a WSGI application of its own, mounted beside Flask's like
`Downloads`: for a small file, contexts and routing would cost as much as everything else.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.wrappers import Response

from fileservice.access import Action
from fileservice.names import FileName
from fileservice.web.dependencies import Dependencies
from fileservice.web.hooks import Hooks
from fileservice.web.upload_requests import raw_request, receive_raw

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_METHODS = ("POST", "PUT")
_PREFIX = "/upload/"


class RawUploads:
    """A WSGI application that stores the bodies of PUT and POST under the names in their paths.

    A request passes the same hooks and the same door as all others. `report` makes the response
    that reports an error.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        hooks: Hooks,
        report: Callable[["WSGIEnvironment", Exception], Response],
    ) -> None:
        self._dependencies = dependencies
        self._door = dependencies.door
        self._hooks = hooks
        self._report = report

    @staticmethod
    def answers(environ: "WSGIEnvironment") -> bool:
        """Return whether a request is for this application."""
        return (
            environ["REQUEST_METHOD"] in _METHODS
            and environ.get("PATH_INFO", "").startswith(_PREFIX)
            and len(environ["PATH_INFO"]) > len(_PREFIX)
            and "HTTP_UPLOAD_COMPLETE" not in environ
        )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        try:
            response = self._respond(environ)
        except Exception as error:  # noqa: BLE001  # every error is reported
            response = self._report(environ, error)
        finally:
            self._door.leave(environ)
        return response(environ, start_response)

    def _respond(self, environ: "WSGIEnvironment") -> Response:
        self._hooks.run_before(environ)
        self._door.admit(environ, Action.WRITE)
        name = FileName.parse_bytes(environ["PATH_INFO"][len(_PREFIX) :].encode("latin-1"))
        self._door.admit_to_file(environ, Action.WRITE, name)
        meter = self._door.meter(environ)
        upload_request = raw_request(self._dependencies, environ, name)
        response = receive_raw(self._dependencies, environ, upload_request)
        self._hooks.run_after(environ, response)
        if meter:
            meter.count(response.content_length or 0)
        return response


def mount(app: Flask, raw_uploads: RawUploads) -> None:
    """Have `raw_uploads` answer the requests that are for it, instead of `app`."""
    other_applications = app.wsgi_app

    def dispatch(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        application = raw_uploads if raw_uploads.answers(environ) else other_applications
        return application(environ, start_response)

    app.wsgi_app = dispatch  # type: ignore[method-assign]
