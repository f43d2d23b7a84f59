"""Parsers of single settings: text in, a value out, ValueError with what the text must be.

The message of the ValueError continues the sentence that begins with the setting's name and text:
"FILESERVICE_WORKERS='two': must be a whole number above 0". The parsers of settings that say who
may do what are in `access_setting_parsers`.
"""

import base64
import ipaddress
import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fileservice import filetypes
from fileservice.addresses import Network, is_authority, is_prefix
from fileservice.content_risks import ContentRisk
from fileservice.quantities import parse_duration, parse_size
from fileservice.storage import check_url

_MAX_SOCKET_PATH = 107
"""Bytes that a Unix socket's path may have (unix(7): sun_path, without the terminating zero)."""


def elements(text: str) -> tuple[str, ...]:
    """Return the elements of a comma-separated list."""
    return tuple(element.strip() for element in text.split(",")) if text else ()


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


def parse_umask(text: str) -> int:
    """Parse the permissions that stored files do not have, as the command umask takes them."""
    if not re.fullmatch("0?0[0-7]{2}", text):
        raise ValueError("must be three octal digits, the first of them 0, such as 077 or 027")
    return int(text, 8)


def duration_between(minimum: str, maximum: str) -> Callable[[str], float]:
    """Return a parser of durations between these two, both included; it returns seconds."""

    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if not parse_duration(minimum) <= seconds <= parse_duration(maximum):
            raise ValueError(f"must be between {minimum} and {maximum}")
        return seconds

    return parse


def parse_optional_duration(text: str) -> float | None:
    """Parse a duration between a second and ten years; return seconds, None for an empty text."""
    return duration_between("1s", "3650d")(text) if text else None


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


def parse_risks(text: str) -> frozenset[ContentRisk]:
    """Parse a list of what files may not contain, or ``none``."""
    if text == "none":
        return frozenset()
    try:
        return frozenset(map(ContentRisk, elements(text)))
    except ValueError:
        raise ValueError(
            f"must be none, or some of {', '.join(risk.value for risk in ContentRisk)}"
        ) from None


def parse_digest(text: str) -> bool:
    """Parse the digest to compute: ``sha-256`` is True, ``none`` is False."""
    if text not in ("sha-256", "none"):
        raise ValueError("must be sha-256 or none")
    return text == "sha-256"


def parse_log_format(text: str) -> str:
    """Parse how lines of the logs are written: ``plain`` or ``json``."""
    if text not in ("plain", "json"):
        raise ValueError("must be plain or json")
    return text


def parse_traces(text: str) -> bool:
    """Parse how spans are sent: ``otlp`` is True, ``none`` is False."""
    if text not in ("otlp", "none"):
        raise ValueError("must be otlp or none")
    return text == "otlp"


def parse_log_destination(text: str) -> str | None:
    """Parse where a log goes: ``-`` is stdout, ``none`` nowhere (None), all else a path."""
    if text not in ("-", "none") and not Path(text).absolute().parent.is_dir():
        raise ValueError("must be - for stdout, none, or a file in a directory that exists")
    return None if text == "none" else text


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


def parse_receiver(text: str) -> str | None:
    """Check the URL that events are sent to; return None for an empty text."""
    if not text:
        return None
    match = re.fullmatch(r"https?://([^/?#]+)([/?][!-~]*)?", text)
    if not match or not is_authority(match[1]) or "#" in text:
        raise ValueError(
            "must be a URL such as https://example.org/events, without a user, a password and a"
            " fragment"
        )
    return text


def parse_signing_secret(text: str) -> bytes | None:
    """Parse a secret as Standard Webhooks has it: ``whsec_`` and 24 to 64 bytes in Base64."""
    if not text:
        return None
    with suppress(ValueError):
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        if text.startswith("whsec_") and 24 <= len(secret) <= 64:
            return secret
    raise ValueError(
        "must be whsec_ and 24 to 64 random bytes in Base64, as this prints them:"
        ' echo "whsec_$(openssl rand -base64 32)"'
    )


def parse_origins(text: str) -> tuple[str, ...]:
    """Parse a list of origins (RFC 6454), or ``*``."""
    origins = elements(text)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/?#\s]+", origin):
            raise ValueError("must be origins such as https://app.example.org, or *")
    return origins


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse a list of addresses and networks."""
    return tuple(ipaddress.ip_network(element) for element in elements(text))


def parse_hosts(text: str) -> tuple[str | Network, ...]:
    """Parse a list of host names, ``*.`` and a name, addresses, networks, or ``*``."""
    return tuple(_host(element) for element in elements(text))


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


def parse_clamd_url(text: str) -> str | tuple[str, int] | None:
    """Return the path of a Unix socket, or a host and a port; None for an empty text."""
    if not text:
        return None
    path = text.removeprefix("unix:")
    if path != text and path.startswith("/") and len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    is_host = bool(host) and is_authority(f"{host}:{port}") and (":" not in host or host[0] == "[")
    if not text.startswith("tcp://") or not is_host or not port.isdigit():
        raise ValueError("must be tcp://HOST:PORT or unix:PATH, with an absolute path")
    return host.strip("[]"), int(port)


def parse_clamd_fail(text: str) -> str:
    """Check what happens to files while clamd does not work: ``closed`` or ``open``."""
    if text not in ("closed", "open"):
        raise ValueError("must be closed or open")
    return text


def parse_command(text: str) -> tuple[str, ...]:
    """Split a command as a shell does, and return the path of its program and its arguments."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from None
    if not words:
        return ()
    program = shutil.which(words[0])
    if "\0" in text or not program:
        raise ValueError(f"there is no program {words[0]!r} that may be run")
    return str(Path(program).absolute()), *words[1:]


def _host(text: str) -> str | Network:
    with suppress(ValueError):
        return ipaddress.ip_network(text.strip("[]"))
    if text != "*" and not re.fullmatch(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)*", text, re.ASCII):
        raise ValueError(
            "must be names such as files.example.org or *.example.org, without a port,"
            " addresses or networks, or *"
        )
    return text
