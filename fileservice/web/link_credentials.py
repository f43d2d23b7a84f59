"""The secret of a link as a credential: in the path of a request, or in its Authorization."""

import re
from typing import TYPE_CHECKING

from fileservice.access import (
    AccessRules,
    Link,
    LinkStore,
    Principal,
    SecretKey,
    Unauthenticated,
    is_proof,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PARAMETER = "link_secret"
"""The parameter of a path that is the secret of a link: its principal makes the request."""
_SECRET = "fileservice.link_secret"  # noqa: S105  # the name of a key
_LINK = "fileservice.link"
_CREDENTIALS = re.compile(r"([A-Za-z0-9_-]{43})(?:\.([A-Za-z0-9_-]{43}))?")
"""A secret, and the proof that the password of the link was given. No token has this form."""


def set_link_secret(environ: "WSGIEnvironment", secret: str) -> None:
    """Have the link with this secret make the request, whatever other credentials it has."""
    environ[_SECRET] = secret


def has_link_secret(environ: "WSGIEnvironment") -> bool:
    """Return whether a link in the path makes the request."""
    return _SECRET in environ


def link_of(environ: "WSGIEnvironment") -> Link:
    """Return the link of a request that has passed the door, and whose principal is a link."""
    link: Link = environ[_LINK]
    return link


class LinkCredentials:
    """Finds the link that makes a request. Threads may share it."""

    def __init__(self, links: LinkStore, secret_key: SecretKey) -> None:
        self._links = links
        self._secret_key = secret_key

    def identify_by_path(self, environ: "WSGIEnvironment", rules: AccessRules) -> Principal | None:
        """Return the principal of the link in the path; None if there is none in it.

        Whether a password was given is for the view to verify. Raise NoSuchLink, LinkGone.
        """
        secret = environ.get(_SECRET)
        return None if secret is None else self._identify(environ, self._links.find(secret), rules)

    def identify(
        self, environ: "WSGIEnvironment", credentials: str, rules: AccessRules
    ) -> Principal:
        """Return the principal of the link with these credentials.

        If it has a password, they must have the proof that the password was given. Raise
        NoSuchLink, LinkGone, or Unauthenticated.
        """
        match = _CREDENTIALS.fullmatch(credentials)
        if not match:
            raise Unauthenticated
        link = self._links.find(match[1])
        secret_key = self._secret_key.find() if link.password else None
        if link.password and not (secret_key and is_proof(match[2] or "", link, secret_key)):
            raise Unauthenticated
        return self._identify(environ, link, rules)

    def _identify(self, environ: "WSGIEnvironment", link: Link, rules: AccessRules) -> Principal:
        principal = link.principal(rules)
        environ[_LINK] = link
        return principal
