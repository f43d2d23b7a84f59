"""The secret of a link as a credential, in the field Authorization of a request."""

import re
from dataclasses import replace
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

_LINK, _SECRET = "fileservice.link", "fileservice.link_secret"
_DOWNLOADS = "/download/"
"""Where uses of a link are counted, as they are at its own path."""
_CREDENTIALS = re.compile(r"([A-Za-z0-9_-]{43})(?:\.([A-Za-z0-9_-]{43}))?")
"""A secret, and the proof that the password of the link was given. No token has this form."""


def link_of(environ: "WSGIEnvironment") -> Link:
    """Return the link of a request that has passed the door, and whose principal is a link."""
    link: Link = environ[_LINK]
    return link


def link_secret_of(environ: "WSGIEnvironment") -> str:
    """Return the secret of that link."""
    secret: str = environ[_SECRET]
    return secret


def set_link(environ: "WSGIEnvironment", link: Link, secret: str) -> None:
    """Note by which link a request is made."""
    environ[_LINK], environ[_SECRET] = link, secret


class LinkCredentials:
    """Finds the link that makes a request. Threads may share it."""

    def __init__(self, links: LinkStore, secret_key: SecretKey) -> None:
        self._links = links
        self._secret_key = secret_key

    def identify(
        self, environ: "WSGIEnvironment", credentials: str, rules: AccessRules
    ) -> Principal:
        """Return the principal of the link with these credentials.

        If it has a password, they must have the proof that the password was given. A link for
        downloads may do nothing but fetch its file where that counts. Raise NoSuchLink, LinkGone,
        or Unauthenticated.
        """
        match = _CREDENTIALS.fullmatch(credentials)
        if not match:
            raise Unauthenticated
        link = self._links.find(match[1])
        secret_key = self._secret_key.find() if link.password else None
        if link.password and not (secret_key and is_proof(match[2] or "", link, secret_key)):
            raise Unauthenticated
        principal = link.principal(rules)
        set_link(environ, link, match[1])
        if link.download and not environ["PATH_INFO"].startswith(_DOWNLOADS):
            return replace(principal, scopes=frozenset())
        return principal
