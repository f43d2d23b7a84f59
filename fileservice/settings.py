"""Settings: read once from the environment; all errors in them are reported together."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from fileservice import filetypes
from fileservice.access import AccessFileError, Limit, RateLimit, Scope, read_rules
from fileservice.access_setting_parsers import (
    parse_anonymous_scopes,
    parse_claim,
    parse_client_credential,
    parse_failure_limit,
    parse_identity_field,
    parse_issuer,
    parse_limits_url,
    parse_rate_limit,
    parse_secret_key,
)
from fileservice.addresses import Network, is_loopback
from fileservice.content_risks import ContentRisk
from fileservice.quantities import parse_size
from fileservice.setting_conflicts import PREFIX, conflicts
from fileservice.setting_parsers import (
    duration_between,
    parse_bind,
    parse_boolean,
    parse_clamd_fail,
    parse_clamd_url,
    parse_command,
    parse_count,
    parse_digest,
    parse_extensions,
    parse_hosts,
    parse_log_destination,
    parse_log_format,
    parse_networks,
    parse_optional_duration,
    parse_origins,
    parse_path,
    parse_positive_size,
    parse_public_url,
    parse_receiver,
    parse_risks,
    parse_signing_secret,
    parse_store_id,
    parse_store_url,
    parse_traces,
    parse_umask,
    read_secret,
)

_SERVICE_DISCOVERY = re.compile(
    r"([A-Z0-9_]+_)?"
    r"(SERVICE_HOST=.+|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+|PORT=(tcp|udp|sctp)://.+"
    r"|PORT_[0-9]+_(TCP|UDP|SCTP)(=(tcp|udp|sctp)://.+|_PROTO=(tcp|udp|sctp)|_PORT=[0-9]+|_ADDR=.+))"
)
"""A variable, without the prefix, that Kubernetes sets in every container for a Service named
fileservice or fileservice-…, and Docker for a linked container of such a name. It is no setting."""


class SettingsError(Exception):
    """The environment has invalid settings; `problems` has one sentence for each of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(cannot_start(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all VARIABLES; sizes are in bytes, durations in seconds."""

    store_url: str
    store_id: str | None
    bind: str
    workers: int
    max_file_size: int
    min_free_space: int
    allowed_extensions: tuple[str, ...]
    umask: int
    max_archive_members: int
    max_unpacked_size: int
    max_compression_ratio: int
    max_image_pixels: int
    refused_content: frozenset[ContentRisk]
    fsync: bool
    download_redirect: bool
    digest: bool
    idle_timeout: float
    grace_period: float
    drain_delay: float
    upload_expiry: float
    file_expiry: float | None
    file_expiry_max: float | None
    max_unfinished_uploads: int
    max_unfinished_uploads_per_client: int
    cors_origins: tuple[str, ...]
    public_url: str | None
    trusted_proxies: tuple[Network, ...]
    allowed_hosts: tuple[str | Network, ...]
    anonymous: frozenset[Scope]
    access_file: Path | None
    secret_key: bytes | None = field(repr=False)
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None = field(repr=False)
    oidc_groups_claim: str
    identity_header: str | None
    identity_groups_header: str | None
    max_uploads: int
    auth_failure_limit: Limit | None
    rate_limit: RateLimit | None
    limits_url: str | None = field(repr=False)
    clamd_url: str | tuple[str, int] | None
    clamd_fail: str
    clamd_timeout: float
    on_staged: tuple[str, ...]
    on_staged_timeout: float
    max_staged_checks: int
    on_stored: str | None
    on_stored_secret: bytes | None = field(repr=False)
    on_stored_private: bool
    log_format: str
    request_log: str | None
    audit_log: str | None
    traces: bool

    @property
    def hosts(self) -> tuple[str | Network, ...]:
        """The hosts whose requests are served: ALLOWED_HOSTS and the host of PUBLIC_URL.

        ``*`` stands for any host. It is the default if the service is reachable from other
        machines, that is, unless it listens on a loopback address. The names that the machine has
        for itself, such as localhost, are served in any case.
        """
        if not self.allowed_hosts and not is_loopback(
            self.bind.rpartition(":")[0].strip("[]").lower()
        ):
            return ("*",)
        public_host = urlsplit(self.public_url or "").hostname
        return (*self.allowed_hosts, *((public_host,) if public_host else ()))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the FILESERVICE_ variables of `environ`; raise SettingsError with all errors."""
        values: dict[str, object] = {}
        problems = _unknown_variables(environ)
        for name, variable in VARIABLES.items():
            text = environ.get(PREFIX + name) or variable.default
            path = environ.get(PREFIX + name + _FILE) if variable.is_secret else None
            label = f"{name}{_FILE}={path!r}" if path else f"{name}={text!r}"
            try:
                if path and text:
                    raise ValueError(f"{PREFIX}{name} is set as well; set one of them")
                if path:
                    text = read_secret(path)
                elif variable.is_secret:
                    label = name  # the log does not have the value
                values[name.lower()] = variable.parse(text)
            except ValueError as error:
                problems.append(f"{PREFIX}{label}: {error}")
        problems += conflicts(values)
        if problems:
            raise SettingsError(problems)
        return cls(**values)  # type: ignore[arg-type]  # the parsers give the fields' types


def cannot_start(problems: list[str]) -> str:
    """Return the message that says why the service does not start: a line if there is one problem,
    otherwise one more for each of them."""
    separator = "\n  " if len(problems) > 1 else " "
    return separator.join(["fileservice cannot start:", *problems])


def check_access_file(settings: Settings) -> None:
    """Raise SettingsError if ACCESS_FILE is set and cannot be read or has mistakes. Blocks.

    This is for the start of the service: later, a file with mistakes does not stop it.
    """
    if settings.access_file is None:
        return
    try:
        read_rules(settings.access_file)
    except AccessFileError as error:
        variable = f"{PREFIX}ACCESS_FILE={str(settings.access_file)!r}"
        raise SettingsError([f"{variable}: {problem}" for problem in error.problems]) from None


def usable_cpus() -> int:
    """Return how many CPUs this process may use: its affinity, bounded by its cgroup's quota."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))


def _parse_workers(text: str) -> int:
    return parse_count(text) if text else usable_cpus()


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    problems = []
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in VARIABLES or name in _SECRET_FILES | _OF_CLIENTS:
            continue
        if not _SERVICE_DISCOVERY.fullmatch(f"{name}={environ[variable]}"):
            similar = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"; did you mean {PREFIX}{similar[0]}?" if similar else ""
            problems.append(f"{variable}: there is no such setting{hint}")
    return problems


class Variable(NamedTuple):
    """A variable: its default, as one would write it in the environment, and its parser."""

    default: str
    parse: Callable[[str], object]
    is_secret: bool = False
    """The variable NAME_FILE can name a file that has the value, and no error shows the value."""


VARIABLES: Mapping[str, Variable] = {
    "STORE_URL": Variable("./data", parse_store_url),
    "STORE_ID": Variable("", parse_store_id),
    "BIND": Variable("127.0.0.1:8000", parse_bind),
    "WORKERS": Variable("", _parse_workers),
    "MAX_FILE_SIZE": Variable("5GiB", parse_positive_size),
    "MIN_FREE_SPACE": Variable("256MiB", parse_size),
    "ALLOWED_EXTENSIONS": Variable(",".join(filetypes.DEFAULT_EXTENSIONS), parse_extensions),
    "UMASK": Variable("077", parse_umask),
    "MAX_ARCHIVE_MEMBERS": Variable("100000", parse_count),
    "MAX_UNPACKED_SIZE": Variable("20GiB", parse_positive_size),
    "MAX_COMPRESSION_RATIO": Variable("200", parse_count),
    "MAX_IMAGE_PIXELS": Variable("250000000", parse_count),
    "REFUSED_CONTENT": Variable("unsafe-names,links", parse_risks),
    "FSYNC": Variable("true", parse_boolean),
    "DOWNLOAD_REDIRECT": Variable("false", parse_boolean),
    "DIGEST": Variable("sha-256", parse_digest),
    "IDLE_TIMEOUT": Variable("30s", duration_between("1s", "1d")),
    "GRACE_PERIOD": Variable("30s", duration_between("1s", "1d")),
    "DRAIN_DELAY": Variable("0s", duration_between("0s", "1d")),
    "UPLOAD_EXPIRY": Variable("24h", duration_between("1s", "3650d")),
    "FILE_EXPIRY": Variable("", parse_optional_duration),
    "FILE_EXPIRY_MAX": Variable("", parse_optional_duration),
    "MAX_UNFINISHED_UPLOADS": Variable("1000", parse_count),
    "MAX_UNFINISHED_UPLOADS_PER_CLIENT": Variable("100", parse_count),
    "CORS_ORIGINS": Variable("", parse_origins),
    "PUBLIC_URL": Variable("", parse_public_url),
    "TRUSTED_PROXIES": Variable("", parse_networks),
    "ALLOWED_HOSTS": Variable("", parse_hosts),
    "ANONYMOUS": Variable("list,read,write", parse_anonymous_scopes),
    "ACCESS_FILE": Variable("", parse_path),
    "SECRET_KEY": Variable("", parse_secret_key, is_secret=True),
    "OIDC_ISSUER": Variable("", parse_issuer),
    "OIDC_CLIENT_ID": Variable("", parse_client_credential),
    "OIDC_CLIENT_SECRET": Variable("", parse_client_credential, is_secret=True),
    "OIDC_GROUPS_CLAIM": Variable("groups", parse_claim),
    "IDENTITY_HEADER": Variable("", parse_identity_field),
    "IDENTITY_GROUPS_HEADER": Variable("", parse_identity_field),
    "MAX_UPLOADS": Variable("512", parse_count),
    "AUTH_FAILURE_LIMIT": Variable("10/minute", parse_failure_limit),
    "RATE_LIMIT": Variable("", parse_rate_limit),
    "LIMITS_URL": Variable("", parse_limits_url, is_secret=True),
    "CLAMD_URL": Variable("", parse_clamd_url),
    "CLAMD_FAIL": Variable("closed", parse_clamd_fail),
    "CLAMD_TIMEOUT": Variable("3m", duration_between("1s", "1h")),
    "ON_STAGED": Variable("", parse_command),
    "ON_STAGED_TIMEOUT": Variable("30s", duration_between("1s", "1h")),
    "MAX_STAGED_CHECKS": Variable("4", parse_count),
    "ON_STORED": Variable("", parse_receiver),
    "ON_STORED_SECRET": Variable("", parse_signing_secret, is_secret=True),
    "ON_STORED_PRIVATE": Variable("false", parse_boolean),
    "LOG_FORMAT": Variable("plain", parse_log_format),
    "REQUEST_LOG": Variable("-", parse_log_destination),
    "AUDIT_LOG": Variable("none", parse_log_destination),
    "TRACES": Variable("none", parse_traces),
}
"""Every setting, by the name of its variable without PREFIX."""

_FILE = "_FILE"
_OF_CLIENTS = {"URL", "TOKEN", "TOKEN_FILE"}
"""Variables that only the commands for clients read; a shell may have them for good."""
_SECRET_FILES = {name + _FILE for name, variable in VARIABLES.items() if variable.is_secret}
