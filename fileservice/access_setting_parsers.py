"""Parsers of the settings that say who may do what, and how much of it.

Like those in `setting_parsers`, they raise ValueError with what the text must be.
"""

import re
import urllib.parse
from contextlib import suppress

import limits

from fileservice.access import Limit, RateLimit, Scope
from fileservice.addresses import host_of, is_authority, is_loopback
from fileservice.setting_parsers import elements, parse_positive_size

_OTHER_FIELDS = frozenset(
    "accept access-control-request-headers access-control-request-method authorization connection"
    " content-length content-type cookie expect host origin referer sec-fetch-site te trailer"
    " transfer-encoding upgrade user-agent via x-forwarded-for x-forwarded-host x-forwarded-prefix"
    " x-forwarded-proto x-http-method-override".split()
)
"""Header fields by which no proxy names people: clients send them, or the service uses them."""
_OF_ANYBODY = (Scope.LIST, Scope.READ, Scope.WRITE, Scope.DELETE)
_REDIS_SCHEMES = ("redis", "rediss", "redis+unix")
_RATE_LIMIT_SYNTAX = (
    "must be numbers or sizes for a time, such as 100/minute, 10GiB/day, 1000 per 2 hours"
    " (second, minute, hour, day, month; a number of bytes needs its unit B)"
)
_MIN_SECRET_LENGTH = 32


def parse_anonymous_scopes(text: str) -> frozenset[Scope]:
    """Parse a comma-separated list of scopes, or ``none``.

    Clients without credentials cannot make links, since these last as long as the rights of their
    makers: nobody would know who has made one. Nor may they end the links of others.
    """
    if text == "none":
        return frozenset()
    found = set(elements(text))
    if named := sorted(found & {Scope.SHARE, Scope.ADMIN}):
        raise ValueError(
            f"must not have {' and '.join(named)}: links belong to those who have made them, and"
            " clients without credentials are nobody; give such scopes to tokens, people or groups"
            " in FILESERVICE_ACCESS_FILE"
        )
    if not found or not found <= set(_OF_ANYBODY):
        raise ValueError(f"must be none, or of {', '.join(_OF_ANYBODY)}, separated by commas")
    return frozenset(map(Scope, found))


def parse_identity_field(text: str) -> str | None:
    """Check the name of a header field by which a proxy names people; None for an empty text.

    Servers and proxies do not agree on what an underscore in a name means, so it has none.
    """
    if not text:
        return None
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*", text):
        raise ValueError("must be the name of a header field, of letters, digits and hyphens")
    if text.lower() in _OTHER_FIELDS:
        raise ValueError("is a header field that means something else")
    return text


def parse_secret_key(text: str) -> bytes | None:
    """Return the bytes of a secret of at least 32 characters; None for an empty text."""
    if text and len(text) < _MIN_SECRET_LENGTH:
        raise ValueError(
            f"must have at least {_MIN_SECRET_LENGTH} characters, which nobody can guess,"
            " such as the output of: openssl rand -hex 32"
        )
    return text.encode() or None


def parse_issuer(text: str) -> str | None:
    """Check the URL of an OpenID provider (OpenID Connect Discovery 1.0, section 2)."""
    match = re.fullmatch(r"(https?)://([^/?#]+)(/[!-~]*)?", text) if text else None
    if text and (not match or not is_authority(match[2]) or "?" in text or "#" in text):
        raise ValueError("must be the URL of an OpenID provider such as https://login.example.org")
    if match and match[1] == "http" and not is_loopback(host_of(match[2])):
        raise ValueError("must be https, unless the provider runs on this machine")
    return text or None


def parse_client_credential(text: str) -> str | None:
    """Check the id or the secret of a client of OAuth 2.0 (RFC 6749, appendix A)."""
    if not re.fullmatch(r"[ -~]*", text):
        raise ValueError("must consist of printable ASCII characters")
    return text or None


def parse_claim(text: str) -> str:
    """Check the name of a claim."""
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be the name of a claim such as groups")
    return text


def parse_rate_limit(text: str) -> RateLimit | None:
    """Parse limits such as ``100/minute, 10GiB/day``, of requests and bytes; None for ``none``."""
    if text in ("", "none"):
        return None
    requests: list[Limit] = []
    of_bytes: list[Limit] = []
    for element in elements(text):
        match = re.fullmatch(r"([0-9]+)([KMGT]i)?(B?)(\s*(?:/|\s+per\s+).+)", element)
        if not match or bool(match[2]) != bool(match[2] and match[3]):
            raise ValueError(_RATE_LIMIT_SYNTAX)
        amount = parse_positive_size(match[1] + (match[2] or "") + match[3])
        (of_bytes if match[3] else requests).append(_limit(f"{amount}{match[4]}"))
    return RateLimit(tuple(requests), tuple(of_bytes))


def parse_failure_limit(text: str) -> Limit | None:
    """Parse one limit of requests such as ``10/minute``; None for ``none``."""
    if text == "none":
        return None
    limit = parse_rate_limit(text)
    if limit is None or len(limit.requests) != 1 or limit.bytes:
        raise ValueError("must be a number for a time, such as 10/minute, or none")
    return limit.requests[0]


def parse_limits_url(text: str) -> str | None:
    """Check the URL of a Redis server; None for an empty text. Errors do not repeat it."""
    with suppress(ValueError):
        parts = urllib.parse.urlsplit(text)
        _ = parts.port  # raises ValueError; the client would show what it is instead
        location = parts.path if parts.scheme == "redis+unix" else parts.hostname
        if not text or (parts.scheme in _REDIS_SCHEMES and location):
            return text or None
    raise ValueError("must be a URL such as redis://redis.example.org:6379/0")


def _limit(text: str) -> Limit:
    try:
        return limits.parse(text)
    except ValueError:
        raise ValueError(_RATE_LIMIT_SYNTAX) from None
