"""LinkAccess: which link a request is made by, and whether it has shown the password.

The path of such a request has the secret of the link. Authorization has the password there, and is
not looked at otherwise: a browser may send it without having been asked.
"""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fileservice.access import AccessRules, LinkStore, Principal, is_password
from fileservice.executor import Executor
from fileservice.protocols.credentials import parse_authorization
from fileservice.web.link_cookies import PREFIX, LinkCookies
from fileservice.web.link_credentials import link_of, set_link

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_UNLOCKED = "fileservice.link_unlocked"
_MAX_CHECKS = 2
"""Passwords that a process checks at the same time; each takes 16 MiB and a processor."""


def secret_in_path(environ: "WSGIEnvironment") -> str | None:
    """Return what the path has in place of the secret of a link; None if it is of another kind."""
    path: str = environ.get("PATH_INFO", "")
    return path.removeprefix(PREFIX).partition("/")[0] if path.startswith(PREFIX) else None


class LinkAccess:
    """Finds links and verifies their passwords. Threads may share it."""

    def __init__(self, links: LinkStore, cookies: LinkCookies, executor: Executor) -> None:
        self.links = links
        self.cookies = cookies
        self._executor = executor
        self._checks = threading.BoundedSemaphore(_MAX_CHECKS)

    def identify(self, environ: "WSGIEnvironment", secret: str, rules: AccessRules) -> Principal:
        """Return the principal of a request by the link with this secret.

        It is `locked` if the link has a password that the request has not shown. Raise NoSuchLink,
        LinkGone, StorageError.
        """
        link = self.links.find(secret)
        principal = link.principal(rules)
        set_link(environ, link, secret)
        if not link.password or environ.get(_UNLOCKED) == link.id:
            return principal
        if self.cookies.has_proof(environ, secret, link):
            return principal
        return replace(principal, scopes=frozenset(), locked=True)

    @staticmethod
    def sent_password(environ: "WSGIEnvironment") -> str | None:
        """Return the password that a program has sent; None if it has sent none."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        return parse_authorization(authorization) if authorization else None

    def verify(self, environ: "WSGIEnvironment", password: str) -> bool:
        """Return whether this is the password of the link; the request is unlocked then."""
        link = link_of(environ)
        with self._checks:
            # In a thread, whichever of the two leaves the event loop.
            run_io, run_cpu = self._executor.run_io, self._executor.run_cpu
            is_right = run_io(run_cpu, is_password, password, link.password)
        if is_right:
            environ[_UNLOCKED] = link.id
        return is_right
