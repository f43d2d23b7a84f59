"""DirectApplication: a WSGI application that answers some requests in place of Flask's.

It is mounted beside Flask's ("Application Dispatching" in its documentation), for requests whose
contexts, session and routing would cost more than the file that they are about.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.wrappers import Response

from fileservice.access import Action
from fileservice.names import FileName
from fileservice.request_record import record_of
from fileservice.web.door import Door
from fileservice.web.hooks import Hooks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Report = Callable[["WSGIEnvironment", Exception], Response]
"""Makes the response that reports an error."""


class DirectApplication(ABC):
    """Answers requests about one file, which do one thing with it (`action`).

    A request passes the same hooks and the same door as all others.
    """

    action: Action

    def __init__(self, door: Door, hooks: Hooks, report: Report) -> None:
        self._door = door
        self._hooks = hooks
        self._report = report

    @abstractmethod
    def answers(self, environ: "WSGIEnvironment") -> bool:
        """Return whether a request is for this application."""

    @abstractmethod
    def route(self, environ: "WSGIEnvironment") -> str:
        """Return the path of such requests with its placeholders."""

    @abstractmethod
    def name(self, environ: "WSGIEnvironment") -> FileName:
        """Return the name of the file that the request is about. Raise BadName or NoSuchFile."""

    @abstractmethod
    def respond(self, environ: "WSGIEnvironment", name: FileName) -> Response:
        """Return the response to a request that may do this with this file."""

    def mount(self, app: Flask) -> None:
        """Answer the requests that are for this application, instead of `app`."""
        other_applications = app.wsgi_app

        def dispatch(
            environ: "WSGIEnvironment", start_response: "StartResponse"
        ) -> Iterable[bytes]:
            application = self if self.answers(environ) else other_applications
            return application(environ, start_response)

        app.wsgi_app = dispatch  # type: ignore[method-assign]

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
        record_of(environ).route = self.route(environ)
        self._hooks.run_before(environ)
        self._door.admit(environ, self.action)
        name = self.name(environ)
        self._door.admit_to_file(environ, self.action, name)
        meter = self._door.meter(environ)
        response = self.respond(environ, name)
        try:
            self._hooks.run_after(environ, response)
        except BaseException:
            response.close()  # it may have opened a file
            raise
        if meter:
            meter.count(response.content_length or 0)
        return response
