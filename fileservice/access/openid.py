"""OpenID Connect: what belongs to a sign-in, and whom the claims of a provider are about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fileservice.access.errors import UnusableClaims

_MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a browser that is sent to a provider must bring back, and what it must not choose."""

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


def person_of(claims: Mapping[str, Any], groups_claim: str) -> tuple[str, tuple[str, ...]]:
    """Return the name and the groups of the person whom claims are about. Raise UnusableClaims.

    The name is the email if the provider has verified it, and else the identifier at the provider
    (`sub`). Without verification, anybody could claim the email of somebody else. An identifier
    that looks like an email could be taken for one, so it is not accepted either.
    """
    email, subject, groups = claims.get("email"), claims.get("sub"), claims.get(groups_claim)
    members = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    names = tuple(group for group in members if isinstance(group, str) and group)
    if claims.get("email_verified") is True and _is_name(email):
        return str(email), names
    if not _is_name(subject) or "@" in str(subject):
        raise UnusableClaims
    return str(subject), names


def _is_name(text: object) -> bool:
    if not isinstance(text, str) or not text.isprintable():
        return False
    return 0 < len(text.encode(errors="replace")) <= _MAX_NAME_BYTES
