"""Access rules: what ACCESS_FILE says about tokens, people and groups."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from fileservice.access.principals import UNLIMITED, Principal, PrincipalKind, Quota
from fileservice.access.scopes import Scope

_UNKNOWN = secrets.token_bytes(32)
"""What the digest of an unknown secret is compared with."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token: what it may do, until when, and the SHA-256 of its secret.

    A secret has 256 random bits, so its hash needs neither salt nor cost: nobody can try them all.
    """

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    prefix: str = ""
    expires: float = float("inf")
    """In seconds since 1970, UTC."""
    quota: Quota = UNLIMITED

    @property
    def principal(self) -> Principal:
        """The principal that shows this token."""
        return Principal(PrincipalKind.TOKEN, self.name, self.scopes, self.prefix, self.quota)

    @property
    def fingerprint(self) -> str:
        """A text that changes whenever the secret does, and from which nothing can be derived."""
        return hashlib.sha256(b"fingerprint:" + self.digest).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person or a group may do."""

    scopes: frozenset[Scope]
    quota: Quota = UNLIMITED
    """Of a person; a group has none."""


_NOBODY: Mapping[str, Grant] = MappingProxyType({})
_NO_TOKENS: Mapping[str, Token] = MappingProxyType({})


@dataclass(frozen=True)
class AccessRules:
    """What ACCESS_FILE says; each mapping is by name. They never change: see `AccessFile`."""

    tokens: Mapping[str, Token] = field(default_factory=lambda: _NO_TOKENS)
    users: Mapping[str, Grant] = field(default_factory=lambda: _NOBODY)
    groups: Mapping[str, Grant] = field(default_factory=lambda: _NOBODY)

    @classmethod
    def empty(cls) -> "AccessRules":
        """Return the rules that name nobody."""
        return cls()

    def authenticate(self, secret: str) -> Principal | None:
        """Return the principal of the token with this secret; None if it is unknown or expired.

        The time does not depend on which of these is the case. The lookup is by the SHA-256 of the
        secret, whose bits a guess does not control.
        """
        digest = _digest(secret)
        known, expires, principal = self._by_digest.get(digest, (_UNKNOWN, 0.0, None))
        is_same = hmac.compare_digest(known, digest)
        is_valid = time.time() < expires
        return principal if is_same & is_valid else None

    def token(self, name: str, fingerprint: str) -> Principal | None:
        """Return the principal of the token of this name, for a session that it began.

        None if there is no such token any more, or if it has expired or another fingerprint.
        """
        token = self.tokens.get(name)
        if not token or not time.time() < token.expires:
            return None
        is_same = hmac.compare_digest(token.fingerprint.encode(), fingerprint.encode())
        return token.principal if is_same else None

    def fingerprint(self, name: str) -> str | None:
        """Return the fingerprint of the token of this name; None if there is none."""
        token = self.tokens.get(name)
        return token.fingerprint if token else None

    def person(self, name: str, groups: Collection[str]) -> Principal | None:
        """Return a person with the scopes of the user of this name and of its groups together.

        None if neither the user nor any of the groups is named.
        """
        user = self.users.get(name)
        grants = [grant for group in groups if (grant := self.groups.get(group))]
        if user:
            grants.append(user)
        if not grants:
            return None
        scopes = frozenset[Scope]().union(*(grant.scopes for grant in grants))
        quota = user.quota if user else UNLIMITED
        return Principal(PrincipalKind.PERSON, name, scopes, quota=quota)

    @cached_property
    def _by_digest(self) -> Mapping[bytes, tuple[bytes, float, Principal]]:
        return {
            token.digest: (token.digest, token.expires, token.principal)
            for token in self.tokens.values()
        }


@lru_cache(maxsize=1024)
def _digest(secret: str) -> bytes:
    """Return the SHA-256 of a secret, whether a token has it or not.

    It takes a twentieth of the time of a small request, so the results are kept. They are found by
    Python's hash of the secret, which is keyed at random, and not by comparing characters.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
