"""The cookie in which a browser keeps the session of its user."""

import time
from typing import TYPE_CHECKING

from flask import Response

from fileservice.access import Session, SessionStore
from fileservice.web.cookies import Cookies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_NAME = "fileservice-session"


class SessionCookie:
    """The session of a request, and of a response."""

    def __init__(self, sessions: SessionStore, cookies: Cookies) -> None:
        self.sessions = sessions
        self._cookies = cookies

    def read(self, environ: "WSGIEnvironment") -> Session | None:
        """Return the session that is valid now. Raises StorageError."""
        text = self._cookies.get(environ, _NAME)
        return self.sessions.find(text) if text else None

    def set(
        self, response: Response, environ: "WSGIEnvironment", text: str, session: Session
    ) -> None:
        """Have the browser keep the text of a session for as long as it is valid."""
        max_age = max(1, session.expires - int(time.time()))
        self._cookies.set(response, environ, _NAME, text, max_age)

    def remove(self, response: Response, environ: "WSGIEnvironment") -> None:
        """Have the browser forget the session."""
        self._cookies.set(response, environ, _NAME, "", 0)
