"""Principals: who makes a request."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from fileservice.access.scopes import Scope
from fileservice.names import FileName


class PrincipalKind(StrEnum):
    """How a principal shows who it is."""

    ANONYMOUS = "anonymous"
    """It shows nothing."""
    TOKEN = "token"  # noqa: S105  # a word, not a secret
    """It sends the secret of a token, or has signed in with it."""
    PERSON = "person"
    """It has signed in with OpenID Connect, or a trusted proxy names it."""
    LINK = "link"
    """It has the secret of a link, which is the same for all to whom the link was given."""
    OPERATOR = "operator"
    """It runs commands on the machine of the service; no request is made by it."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much one principal may have stored; None for any amount."""

    bytes: int | None = None
    files: int | None = None


UNLIMITED = Quota()
"""The quota of those who may store any amount."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request, and what it may do."""

    kind: PrincipalKind
    name: str
    """The name of the token or the person, or the id of the link; else empty."""
    scopes: frozenset[Scope]
    prefix: str = ""
    """The principal may touch only names that begin with this, in NFC."""
    quota: Quota = UNLIMITED
    only: FileName | None = None
    """The only name that the principal may touch; None for all that begin with the prefix."""
    locked: bool = False
    """Whether it would have scopes if it said the password of the link."""

    def covers(self, name: FileName) -> bool:
        """Return whether the principal may touch files of this name at all."""
        return name.startswith(self.prefix) and self.only in (None, name)

    @property
    def id(self) -> str:
        """What uploads and files say about whose they are, such as ``token:ci``.

        It names the same principal for as long as ACCESS_FILE does, whatever its scopes are.
        """
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


def anonymous(scopes: Collection[Scope]) -> Principal:
    """Return the principal that shows no credentials."""
    return Principal(PrincipalKind.ANONYMOUS, "", frozenset(scopes))
