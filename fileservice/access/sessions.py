"""Sessions: who has signed in, in a signed text that the browser keeps.

A session says who its owner is and not what the owner may do. That is looked up in the rules at
each request, so it never outlives the token, the user or the group that it comes from.
"""

import secrets
import time
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous import BadData

from fileservice.access.principals import Principal, PrincipalKind
from fileservice.access.rules import AccessRules
from fileservice.access.signing import serializer

LIFETIME = 12 * 3600
"""Seconds from signing in to the end of a session, however much it is used."""
_PURPOSE = "session 1"


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has begun."""

    id: str
    """128 random bits, as hexadecimal digits."""
    expires: int
    """In seconds since 1970, UTC."""
    kind: PrincipalKind
    name: str
    fingerprint: str = ""
    """Of the token; a new token of the same name is another one."""
    groups: tuple[str, ...] = ()
    """The groups of a person when it signed in, as far as the rules named them then."""

    @classmethod
    def of_token(cls, name: str, rules: AccessRules, now: float | None = None) -> "Session":
        """Begin a session of whoever has shown the secret of this token, which the rules name."""
        fingerprint = rules.fingerprint(name) or ""
        return cls(_new_id(), _end(now), PrincipalKind.TOKEN, name, fingerprint)

    @classmethod
    def of_person(
        cls, name: str, groups: tuple[str, ...], rules: AccessRules, now: float | None = None
    ) -> "Session":
        """Begin a session of a person who is in these groups."""
        named = tuple(sorted(rules.groups.keys() & set(groups)))
        return cls(_new_id(), _end(now), PrincipalKind.PERSON, name, groups=named)

    def principal(self, rules: AccessRules) -> Principal | None:
        """Return the principal as the rules have it now; None if they do not name it."""
        if self.kind is PrincipalKind.TOKEN:
            return rules.token(self.name, self.fingerprint)
        return rules.person(self.name, self.groups)


def seal(session: Session, secret_key: bytes) -> str:
    """Return the session as a signed text, of characters that a cookie may have."""
    fields = (
        session.id, session.expires, session.kind, session.name, session.fingerprint,
        session.groups,
    )  # fmt: skip
    return serializer(secret_key, _PURPOSE).dumps(fields)


def unseal(text: str, secret_key: bytes, now: float) -> Session | None:
    """Return the session that was sealed; None if the text was forged, or the session is over."""
    session = _verified(text, secret_key)
    return session if session and now < session.expires else None


@lru_cache(maxsize=1024)
def _verified(text: str, secret_key: bytes) -> Session | None:
    """Return the session in a text that was not forged.

    Verifying a text takes longer than everything else that a small request needs from this package,
    and a browser sends the same one with each of its requests.
    """
    try:
        fields = serializer(secret_key, _PURPOSE).loads(text)
    except BadData:
        return None
    session_id, expires, kind, name, fingerprint, groups = fields
    return Session(session_id, expires, PrincipalKind(kind), name, fingerprint, tuple(groups))


def _new_id() -> str:
    return secrets.token_hex(16)


def _end(now: float | None) -> int:
    return int(time.time() if now is None else now) + LIFETIME
