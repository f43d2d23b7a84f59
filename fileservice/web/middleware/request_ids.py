"""Give every response the id of its request, X-Request-Id, by which the log has the request."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from fileservice.observability import Sampler
from fileservice.request_record import REQUEST_RECORD, RequestRecord, record_of, trace_parent
from fileservice.web.requests import has_trusted_peer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{7,41}")
"""What proxies send: a UUID, a ULID, 128 bits in hexadecimal. The secret of a link is longer, and
that of a token has an underscore."""
_TRACE_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2.2."""


def register(app: Flask, sampler: Sampler | None) -> None:
    """Have all responses of `app` say the id. To be called before `proxies.register`.

    With a sampler, the requests have spans of their own.
    """
    app.wsgi_app = RequestIds(app.wsgi_app, sampler)  # type: ignore[method-assign]


class RequestIds:
    """WSGI middleware that completes the RequestRecord, or makes one where the server does not.

    An id and a `traceparent` of the client count if a trusted proxy has sent them: otherwise
    anybody could give the requests of others, or its own, ids that are in the log already.
    """

    def __init__(self, app: "WSGIApplication", sampler: Sampler | None) -> None:
        self._app = app
        self._sampler = sampler

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        is_observed = REQUEST_RECORD in environ
        record = record_of(environ)
        if has_trusted_peer(environ):
            _take_ids(environ, record)
        if self._sampler and is_observed:  # a server that observes nothing sends no span
            record.span = self._sampler.trace_context(record)
        passed_on = record.ids.trace_parent
        if passed_on != trace_parent.get():  # the request before may have left its own
            trace_parent.set(passed_on)
        field = ("X-Request-Id", record.id)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers.append(field)
            if exc_info:
                return start_response(status, headers, exc_info)
            return start_response(status, headers)

        return self._app(environ, start)


def _take_ids(environ: "WSGIEnvironment", record: RequestRecord) -> None:
    request_id = environ.get("HTTP_X_REQUEST_ID", "")
    if _ID.fullmatch(request_id):
        record.id = request_id
    parent = environ.get("HTTP_TRACEPARENT", "")
    if _TRACE_PARENT.fullmatch(parent):
        record.parent = parent
