"""Signing in and out: how the session of a browser begins and ends."""

import logging
from typing import TYPE_CHECKING

from flask import Response, after_this_request

from fileservice.access import Session
from fileservice.executor import Executor
from fileservice.storage import StorageError, describe_error
from fileservice.web.audit import audit
from fileservice.web.errors import ForeignForm, SignOutIncomplete
from fileservice.web.own_pages import is_from_own_page
from fileservice.web.session_cookie import SessionCookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger(__name__)


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

        Raises StorageError. If the end of the earlier session cannot be recorded, that is logged.
        """
        text = self._executor.run_io(self._cookie.sessions.begin, session)
        response = _redirect(return_to)
        self._cookie.set(response, environ, text, session)
        self._end(environ)
        audit(environ, "signed-in", person=f"{session.kind}:{session.name}")
        return response

    def end(self, environ: "WSGIEnvironment", return_to: str) -> Response:
        """Return the response with which the session ends, if there is one.

        The browser forgets it in any case. Raise SignOutIncomplete if the store cannot record that
        it has ended.
        """

        @after_this_request
        def forget(response: Response) -> Response:  # also if it reports an error
            self._cookie.remove(response, environ)
            return response

        if not self._end(environ):
            raise SignOutIncomplete
        return _redirect(return_to)

    def _end(self, environ: "WSGIEnvironment") -> bool:
        """End the session that the browser has sent; return whether it is valid nowhere now."""
        try:
            session = self._cookie.read(environ)
            if session:
                self._executor.run_io(self._cookie.sessions.end, session)
                audit(environ, "signed-out", person=f"{session.kind}:{session.name}")
        except StorageError as error:
            _log.error("the end of a session could not be recorded: %s", describe_error(error))
            return False
        return True


def _redirect(path: str) -> Response:
    return Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
