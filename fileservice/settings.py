"""Settings: read once from the environment, every error in them reported at once."""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fileservice import filetypes
from fileservice.storage import check_url

PREFIX = "FILESERVICE_"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SIZE_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class SettingsError(Exception):
    """The environment does not make sense; `problems` has a sentence for each fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["fileservice cannot start:", *(f"  {p}" for p in problems)]))
        self.problems = problems


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, and the quota of its control group."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))


@dataclass(frozen=True, slots=True)
class Settings:
    """One attribute for each variable; sizes in bytes, durations in seconds."""

    store_url: str
    store_id: str | None
    bind: str
    workers: int
    max_file_size: int
    min_free_space: int
    allowed_extensions: tuple[str, ...]
    fsync: bool
    download_redirect: bool
    digest: bool
    idle_timeout: float
    upload_expiry: float
    cors_origins: tuple[str, ...]
    public_url: str | None
    trusted_proxies: tuple[Network, ...]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the FILESERVICE_ variables of `environ`; raise SettingsError with all faults."""
        values: dict[str, object] = {}
        problems = _unknown_names(environ)
        for name, (default, parse) in VARIABLES.items():
            text = environ.get(PREFIX + name) or default
            try:
                values[name.lower()] = parse(text)
            except ValueError as error:
                problems.append(f"{PREFIX}{name}={text!r}: {error}")
        if problems:
            raise SettingsError(problems)
        return cls(**values)  # type: ignore[arg-type]  # the parsers give the fields' types


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    problems = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in VARIABLES:
            close = difflib.get_close_matches(name.removeprefix(PREFIX), VARIABLES, n=1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            problems.append(f"{name}: there is no such setting{hint}")
    return problems


def _store_url(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if scheme == "s3" and separator:
        check_url(text)
    elif separator:
        raise ValueError(
            f"stores of the kind {scheme}:// are not supported;"
            " give a directory or s3://bucket/prefix"
        )
    return text


def _store_id(text: str) -> str | None:
    if text and not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ValueError(
            "must be the 32 hexadecimal digits in the file .fileservice/identity of the store"
        )
    return text or None


def _bind(text: str) -> str:
    host, _, port = text.rpartition(":")
    if re.fullmatch(r"unix:.+", text):
        return text
    if host and port.isascii() and port.isdigit() and int(port) < 65536:
        return text
    raise ValueError("must be HOST:PORT or unix:PATH")


def _workers(text: str) -> int:
    if not text:
        return usable_cpus()
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ValueError("must be a whole number above 0")


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18})\s*([A-Za-z]*)", text)
    if not match or match[2] not in _SIZE_UNITS:
        raise ValueError("must be a size such as 500MiB or 5GiB (KiB, MiB, GiB, TiB, or bytes)")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _positive_size(text: str) -> int:
    size = _size(text)
    if size == 0:
        raise ValueError("must be above 0")
    return size


def _duration(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd])", text)
    if not match or float(match[1]) == 0:
        raise ValueError("must be a duration above 0 such as 30s, 5m, 24h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def _extensions(text: str) -> tuple[str, ...]:
    extensions = tuple(part.strip().removeprefix(".").lower() for part in text.split(","))
    unknown = [extension for extension in extensions if extension not in filetypes.TABLE]
    if unknown:
        raise ValueError(
            f"nothing is known about the content of {', '.join(map(repr, unknown))};"
            f" known are {', '.join(sorted(filetypes.TABLE))}"
        )
    return extensions


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _digest(text: str) -> bool:
    if text not in ("sha-256", "none"):
        raise ValueError("must be sha-256 or none")
    return text == "sha-256"


def _public_url(text: str) -> str | None:
    if not text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be a base URL such as https://files.example.org")
    return text.rstrip("/")


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",")) if text else ()
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/?#\s]+", origin):
            raise ValueError("must be origins such as https://app.example.org, or *")
    return origins


def _networks(text: str) -> tuple[Network, ...]:
    if not text:
        return ()
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))


VARIABLES: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "STORE_URL": ("./data", _store_url),
    "STORE_ID": ("", _store_id),
    "BIND": ("127.0.0.1:8000", _bind),
    "WORKERS": ("", _workers),
    "MAX_FILE_SIZE": ("5GiB", _positive_size),
    "MIN_FREE_SPACE": ("256MiB", _size),
    "ALLOWED_EXTENSIONS": (",".join(filetypes.DEFAULT_EXTENSIONS), _extensions),
    "FSYNC": ("true", _boolean),
    "DOWNLOAD_REDIRECT": ("false", _boolean),
    "DIGEST": ("sha-256", _digest),
    "IDLE_TIMEOUT": ("30s", _duration),
    "UPLOAD_EXPIRY": ("24h", _duration),
    "CORS_ORIGINS": ("", _origins),
    "PUBLIC_URL": ("", _public_url),
    "TRUSTED_PROXIES": ("", _networks),
}
"""Name without the prefix → default as one would type it, and its parser."""
