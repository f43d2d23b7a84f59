"""Parsers of single settings: text in, a value out, ValueError with what the text must be.

The message of the ValueError continues the sentence that begins with the setting's name and text:
"FILESERVICE_WORKERS='two': must be a whole number above 0".
"""

import ipaddress
import os
import re
import urllib.parse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import limits

from fileservice import filetypes
from fileservice.access import Limit, RateLimit, Scope
from fileservice.addresses import Network, host_of, is_authority, is_prefix
from fileservice.quantities import parse_duration, parse_size
from fileservice.storage import check_url

_OTHER_FIELDS = frozenset(
    "accept access-control-request-headers access-control-request-method authorization connection"
    " content-length content-type cookie expect host origin referer sec-fetch-site te trailer"
    " transfer-encoding upgrade user-agent via x-forwarded-for x-forwarded-host x-forwarded-prefix"
    " x-forwarded-proto x-http-method-override".split()
)
"""Header fields by which no proxy names people: clients send them, or the service uses them."""
_REDIS_SCHEMES = ("redis", "rediss", "redis+unix")
_RATE_LIMIT_SYNTAX = (
    "must be numbers or sizes for a time, such as 100/minute, 10GiB/day, 1000 per 2 hours"
    " (second, minute, hour, day, month; a number of bytes needs its unit B)"
)
_MIN_SECRET_LENGTH = 32
_MAX_SOCKET_PATH = 107
"""Bytes that a Unix socket's path may have (unix(7): sun_path, without the terminating zero)."""


def parse_boolean(text: str) -> bool:
    """Parse ``true`` or ``false``, in any case."""
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def parse_count(text: str) -> int:
    """Parse a whole number above 0."""
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ValueError("must be a whole number above 0")


def parse_positive_size(text: str) -> int:
    """Parse a size above 0; return bytes."""
    size = parse_size(text)
    if size == 0:
        raise ValueError("must be above 0")
    return size


def duration_between(minimum: str, maximum: str) -> Callable[[str], float]:
    """Return a parser of durations between these two, both included; it returns seconds."""

    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if not parse_duration(minimum) <= seconds <= parse_duration(maximum):
            raise ValueError(f"must be between {minimum} and {maximum}")
        return seconds

    return parse


def parse_path(text: str) -> Path | None:
    """Return an absolute path; None for an empty text."""
    if "\0" in text:
        raise ValueError("must be a path")
    return Path(text).absolute() if text else None


def parse_store_url(text: str) -> str:
    """Check the location of a store: a directory, or ``s3://bucket/prefix``."""
    check_url(text)
    return text


def parse_store_id(text: str) -> str | None:
    """Check the identity of a store; return None for an empty text."""
    if text and not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ValueError(
            "must be the 32 hexadecimal digits in the file .fileservice/identity of the store"
        )
    return text or None


def parse_bind(text: str) -> str:
    """Check an address to listen on."""
    if text.startswith("unix:"):
        if not 0 < len(os.fsencode(text.removeprefix("unix:"))) <= _MAX_SOCKET_PATH:
            raise ValueError(f"the path must have 1 to {_MAX_SOCKET_PATH} bytes")
        return text
    host, _, port = text.rpartition(":")
    if ":" in host and not host.startswith("["):
        raise ValueError(f"an IPv6 address needs brackets: [{host}]:{port}")
    if host and port.isdigit() and is_authority(text):
        return text
    raise ValueError("must be HOST:PORT, [IPv6]:PORT or unix:PATH")


def parse_extensions(text: str) -> tuple[str, ...]:
    """Parse a list of extensions, each of them in the table of file types."""
    extensions = tuple(part.strip().removeprefix(".").lower() for part in text.split(","))
    unknown = [extension for extension in extensions if extension not in filetypes.TABLE]
    if unknown:
        raise ValueError(
            f"the content of {', '.join(map(repr, unknown))} cannot be checked;"
            f" the known extensions are {', '.join(sorted(filetypes.TABLE))}"
        )
    return extensions


def parse_digest(text: str) -> bool:
    """Parse the digest to compute: ``sha-256`` is True, ``none`` is False."""
    if text not in ("sha-256", "none"):
        raise ValueError("must be sha-256 or none")
    return text == "sha-256"


def parse_public_url(text: str) -> str | None:
    """Return a base URL without a slash at its end; None for an empty text."""
    if not text:
        return None
    match = re.fullmatch(r"(https?)://([^/]+)(.*?)/*", text, re.IGNORECASE | re.DOTALL)
    if not match or not is_authority(match[2]):
        raise ValueError("must be a base URL such as https://files.example.org")
    if not is_prefix(match[3]):
        raise ValueError("its path must be a plain one such as https://example.org/files")
    return f"{match[1].lower()}://{match[2]}{match[3]}"


def parse_origins(text: str) -> tuple[str, ...]:
    """Parse a list of origins (RFC 6454), or ``*``."""
    origins = _elements(text)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/?#\s]+", origin):
            raise ValueError("must be origins such as https://app.example.org, or *")
    return origins


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse a list of addresses and networks."""
    return tuple(ipaddress.ip_network(element) for element in _elements(text))


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


def parse_hosts(text: str) -> tuple[str | Network, ...]:
    """Parse a list of host names, ``*.`` and a name, addresses, networks, or ``*``."""
    return tuple(_host(element) for element in _elements(text))


def parse_scopes(text: str) -> frozenset[Scope]:
    """Parse a comma-separated list of scopes, or ``none``."""
    if text == "none":
        return frozenset()
    try:
        return frozenset(Scope(element) for element in _elements(text))
    except ValueError:
        raise ValueError(f"must be none, or of {', '.join(Scope)}, separated by commas") from None


def read_secret(path: str) -> str:
    """Return the secret in a file, without the end of its line."""
    try:
        secret = Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    if not secret:
        raise ValueError("the file is empty")
    return secret


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


def is_loopback(host: str) -> bool:
    """Return whether a host, without brackets, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_rate_limit(text: str) -> RateLimit | None:
    """Parse limits such as ``100/minute, 10GiB/day``, of requests and bytes; None for ``none``."""
    if text in ("", "none"):
        return None
    requests: list[Limit] = []
    of_bytes: list[Limit] = []
    for element in _elements(text):
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


def _host(text: str) -> str | Network:
    with suppress(ValueError):
        return ipaddress.ip_network(text.strip("[]"))
    if text != "*" and not re.fullmatch(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)*", text, re.ASCII):
        raise ValueError(
            "must be names such as files.example.org or *.example.org, without a port,"
            " addresses or networks, or *"
        )
    return text


def _elements(text: str) -> tuple[str, ...]:
    return tuple(element.strip() for element in text.split(",")) if text else ()
