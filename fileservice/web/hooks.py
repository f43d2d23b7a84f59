"""Hooks: what is done before and after every request, whichever WSGI application answers it."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Flask, request
from flask import Response as FlaskResponse
from werkzeug.wrappers import Response

from fileservice.request_record import record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_CONVERTER = re.compile(r"<\w+:")
Before = Callable[["WSGIEnvironment"], None]
After = Callable[["WSGIEnvironment", Response], None]


class Hooks:
    """Functions of the environment of a request, and of its response.

    Those before a request run in the order in which they were added, and those after it in the
    reverse order, as Flask's do.
    """

    def __init__(self) -> None:
        self._before: list[Before] = []
        self._after: list[After] = []

    def before(self, hook: Before) -> Before:
        """Have `hook` called before every request, which it refuses by raising an error."""
        self._before.append(hook)
        return hook

    def after(self, hook: After) -> After:
        """Have `hook` called after every request; it may change the header fields or the body."""
        self._after.insert(0, hook)
        return hook

    def run_before(self, environ: "WSGIEnvironment") -> None:
        """Run the hooks before a request."""
        for hook in self._before:
            hook(environ)

    def run_after(self, environ: "WSGIEnvironment", response: Response) -> None:
        """Run the hooks after a request."""
        for hook in self._after:
            hook(environ, response)

    def register(self, app: Flask) -> None:
        """Have `app` run the hooks for the requests that it answers."""

        @app.before_request
        def before() -> None:
            if request.url_rule:
                record_of(request.environ).route = _template(request.url_rule.rule)
            self.run_before(request.environ)

        @app.after_request
        def after(response: FlaskResponse) -> FlaskResponse:
            self.run_after(request.environ, response)
            return response


@lru_cache(maxsize=256)
def _template(rule: str) -> str:
    """Return the path of a rule with its placeholders, such as ``/download/<name>``."""
    return _CONVERTER.sub("<", rule)
