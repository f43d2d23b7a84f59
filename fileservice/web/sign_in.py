"""Signing in and out: how the session of a browser begins and ends."""

from typing import TYPE_CHECKING

from flask import Response

from fileservice.access import Session
from fileservice.executor import Executor
from fileservice.web.errors import ForeignForm
from fileservice.web.own_pages import is_from_own_page
from fileservice.web.session_cookie import SessionCookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class SignIn:
    """Begins and ends sessions."""

    def __init__(self, cookie: SessionCookie, executor: Executor, public_url: str | None) -> None:
        self._cookie = cookie
        self._executor = executor
        self._public_url = public_url

    def require_own_form(self, environ: "WSGIEnvironment") -> None:
        """Raise ForeignForm unless a page of this service sent the request.

        This is stricter than what is required of other requests (see `middleware.cross_site`): a
        page of another site must not sign its reader in as somebody else, and no program other
        than a browser needs a session. So a request that does not say where it comes from is
        refused, and origins that may use the service otherwise may not do this.
        """
        if is_from_own_page(environ, self._public_url, is_form=True) is not True:
            raise ForeignForm

    def begin(self, environ: "WSGIEnvironment", session: Session, return_to: str) -> Response:
        """Return the response with which the session begins, and an earlier one ends.

        Raises StorageError.
        """
        self._end(environ)
        text = self._executor.run_io(self._cookie.sessions.begin, session)
        response = _redirect(return_to)
        self._cookie.set(response, environ, text, session)
        return response

    def end(self, environ: "WSGIEnvironment", return_to: str) -> Response:
        """Return the response with which the session ends, if there is one. Raises StorageError."""
        self._end(environ)
        response = _redirect(return_to)
        self._cookie.remove(response, environ)
        return response

    def _end(self, environ: "WSGIEnvironment") -> None:
        session = self._cookie.read(environ)
        if session:
            self._executor.run_io(self._cookie.sessions.end, session)


def _redirect(path: str) -> Response:
    return Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
