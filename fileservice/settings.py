"""Settings: read once from the environment, every error in them reported at once."""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fileservice import filetypes
from fileservice.addresses import Network, is_authority, is_prefix
from fileservice.storage import check_url, has_presigned_urls

PREFIX = "FILESERVICE_"

_SIZE_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_SOCKET_PATH = 107
"""Bytes that the kernel has for the path of a Unix socket (unix(7)), without its end."""
_KUBERNETES = re.compile(
    r"([A-Z0-9_]+_)?"
    r"(SERVICE_HOST=.+|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+|PORT=(tcp|udp|sctp)://.+"
    r"|PORT_[0-9]+_(TCP|UDP|SCTP)(=(tcp|udp|sctp)://.+|_PROTO=(tcp|udp|sctp)|_PORT=[0-9]+|_ADDR=.+))"
)
"""Name, without the prefix, and value of a variable by which Kubernetes tells every container of a
Service named fileservice or fileservice-…, and Docker of a container linked under such a name."""


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
    grace_period: float
    drain_delay: float
    upload_expiry: float
    max_unfinished_uploads: int
    max_unfinished_uploads_per_client: int
    cors_origins: tuple[str, ...]
    public_url: str | None
    trusted_proxies: tuple[Network, ...]
    allowed_hosts: tuple[str | Network, ...]

    @property
    def hosts(self) -> tuple[str | Network, ...]:
        """The hosts that are answered for: those allowed, and that of PUBLIC_URL.

        `*` stands for any, which is the default unless the service listens on loopback alone. The
        machine's names for itself need not be among them.
        """
        if not self.allowed_hosts and not _is_loopback(self.bind):
            return ("*",)
        public = urlsplit(self.public_url or "").hostname
        return (*self.allowed_hosts, *((public,) if public else ()))

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
        store_url = values.get("store_url")
        if values.get("download_redirect") and store_url and not has_presigned_urls(str(store_url)):
            problems.append(
                f"{PREFIX}DOWNLOAD_REDIRECT='true': only a bucket can be redirected to,"
                f" and {PREFIX}STORE_URL={store_url!r} is a directory"
            )
        if problems:
            raise SettingsError(problems)
        return cls(**values)  # type: ignore[arg-type]  # the parsers give the fields' types


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    problems = []
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in VARIABLES:
            continue
        if not _KUBERNETES.fullmatch(f"{name}={environ[variable]}"):
            close = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            problems.append(f"{variable}: there is no such setting{hint}")
    return problems


def _store_url(text: str) -> str:
    check_url(text)
    return text


def _store_id(text: str) -> str | None:
    if text and not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ValueError(
            "must be the 32 hexadecimal digits in the file .fileservice/identity of the store"
        )
    return text or None


def _bind(text: str) -> str:
    if text.startswith("unix:"):
        if not 0 < len(os.fsencode(text.removeprefix("unix:"))) <= _LONGEST_SOCKET_PATH:
            raise ValueError(f"the path must have 1 to {_LONGEST_SOCKET_PATH} bytes")
        return text
    host, _, port = text.rpartition(":")
    if ":" in host and not host.startswith("["):
        raise ValueError(f"an IPv6 address needs brackets: [{host}]:{port}")
    if host and port.isdigit() and is_authority(text):
        return text
    raise ValueError("must be HOST:PORT, [IPv6]:PORT or unix:PATH")


def _workers(text: str) -> int:
    return _count(text) if text else usable_cpus()


def _count(text: str) -> int:
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


def _duration(least: str, most: str) -> Callable[[str], float]:
    """A parser of durations within these bounds."""

    def parse(text: str) -> float:
        seconds = _seconds(text)
        if not _seconds(least) <= seconds <= _seconds(most):
            raise ValueError(f"must be between {least} and {most}")
        return seconds

    return parse


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd])", text)
    if not match:
        raise ValueError("must be a duration such as 30s, 5m, 24h or 7d")
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
    match = re.fullmatch(r"(https?)://([^/]+)(.*?)/*", text, re.IGNORECASE | re.DOTALL)
    if not match or not is_authority(match[2]):
        raise ValueError("must be a base URL such as https://files.example.org")
    if not is_prefix(match[3]):
        raise ValueError("its path must be a plain one such as https://example.org/files")
    return f"{match[1].lower()}://{match[2]}{match[3]}"


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",")) if text else ()
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/?#\s]+", origin):
            raise ValueError("must be origins such as https://app.example.org, or *")
    return origins


def _is_loopback(bind: str) -> bool:
    host = bind.rpartition(":")[0].strip("[]").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hosts(text: str) -> tuple[str | Network, ...]:
    return tuple(_host(part.strip()) for part in text.split(",")) if text else ()


def _host(text: str) -> str | Network:
    with suppress(ValueError):
        return ipaddress.ip_network(text.strip("[]"))
    if text != "*" and not re.fullmatch(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)*", text, re.ASCII):
        raise ValueError(
            "must be names such as files.example.org or *.example.org, without a port,"
            " addresses or networks, or *"
        )
    return text


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
    "IDLE_TIMEOUT": ("30s", _duration("1s", "1d")),
    "GRACE_PERIOD": ("30s", _duration("1s", "1d")),
    "DRAIN_DELAY": ("0s", _duration("0s", "1d")),
    "UPLOAD_EXPIRY": ("24h", _duration("1s", "3650d")),
    "MAX_UNFINISHED_UPLOADS": ("1000", _count),
    "MAX_UNFINISHED_UPLOADS_PER_CLIENT": ("100", _count),
    "CORS_ORIGINS": ("", _origins),
    "PUBLIC_URL": ("", _public_url),
    "TRUSTED_PROXIES": ("", _networks),
    "ALLOWED_HOSTS": ("", _hosts),
}
"""Name without the prefix → default as one would type it, and its parser."""
