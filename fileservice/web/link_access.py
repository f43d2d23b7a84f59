"""LinkAccess: which link a request is made by, and whether it has shown the password.

The path of such a request has the secret of the link. Authorization has the password there, and is
not looked at otherwise: a browser may send it without having been asked.
"""

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from fileservice.access import (
    AccessRules,
    FailureLimiter,
    Link,
    LinkStore,
    PasswordNeeded,
    Principal,
    is_password,
)
from fileservice.addresses import client_key
from fileservice.executor import Executor
from fileservice.protocols.credentials import parse_authorization
from fileservice.web.link_cookies import PREFIX, LinkCookies
from fileservice.web.link_credentials import link_of, set_link
from fileservice.web.requests import client_address

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

    def unlock(
        self, environ: "WSGIEnvironment", password: str, failures: FailureLimiter | None
    ) -> None:
        """Let the request do what the link is for, if this is the password of the link.

        Raise PasswordNeeded, or TooManyFailures after too many wrong ones of the same address, or
        of the same link from wherever.
        """
        link = link_of(environ)
        credentials = f"{link.principal_id}:{password}"
        # Guesses that are sent at the same time wait here before they are counted.
        with self._checks, ExitStack() as attempts:
            for client in (client_key(client_address(environ)), link.principal_id):
                if failures:
                    attempts.enter_context(failures.attempt(client, credentials))
            if not self._is_right(link, password):
                raise PasswordNeeded(is_wrong=True)
        environ[_UNLOCKED] = link.id

    def _is_right(self, link: Link, password: str) -> bool:
        # In a thread, whichever of the two leaves the event loop.
        run_io, run_cpu = self._executor.run_io, self._executor.run_cpu
        return run_io(run_cpu, is_password, password, link.password)
