"""Settings: what is read from the environment, and how errors are reported."""

import dataclasses
import ipaddress
import os
import shutil
from pathlib import Path
from typing import Any

import limits
import pytest

from fileservice.access import RateLimit
from fileservice.content_risks import ContentRisk
from fileservice.filetypes import DEFAULT_EXTENSIONS
from fileservice.settings import VARIABLES, Settings, SettingsError, usable_cpus
from tests.support.settings import SECRETS, problems_of, read

DEFAULTS: dict[str, Any] = {
    "STORE_URL": "./data",
    "STORE_ID": None,
    "BIND": "127.0.0.1:8000",
    "WORKERS": usable_cpus(),
    "MAX_FILE_SIZE": 5 * 1024**3,
    "MIN_FREE_SPACE": 256 * 1024**2,
    "ALLOWED_EXTENSIONS": DEFAULT_EXTENSIONS,
    "UMASK": 0o077,
    "MAX_ARCHIVE_MEMBERS": 100_000,
    "MAX_UNPACKED_SIZE": 20 * 1024**3,
    "MAX_COMPRESSION_RATIO": 200,
    "MAX_IMAGE_PIXELS": 250_000_000,
    "REFUSED_CONTENT": frozenset({ContentRisk.UNSAFE_NAMES, ContentRisk.LINKS}),
    "FSYNC": True,
    "DOWNLOAD_REDIRECT": False,
    "DIGEST": True,
    "IDLE_TIMEOUT": 30,
    "GRACE_PERIOD": 30,
    "DRAIN_DELAY": 0,
    "UPLOAD_EXPIRY": 86400,
    "FILE_EXPIRY": None,
    "FILE_EXPIRY_MAX": None,
    "MAX_UNFINISHED_UPLOADS": 1000,
    "MAX_UNFINISHED_UPLOADS_PER_CLIENT": 100,
    "CORS_ORIGINS": (),
    "PUBLIC_URL": None,
    "TRUSTED_PROXIES": (),
    "ALLOWED_HOSTS": (),
    "ANONYMOUS": frozenset({"list", "read", "write"}),
    "MAX_UPLOADS": 512,
    "AUTH_FAILURE_LIMIT": limits.parse("10/minute"),
    "RATE_LIMIT": None,
    "LIMITS_URL": None,
    "CLAMD_URL": None,
    "CLAMD_FAIL": "closed",
    "CLAMD_TIMEOUT": 180,
    "ON_STAGED": (),
    "ON_STAGED_TIMEOUT": 30,
    "MAX_STAGED_CHECKS": 4,
    "ON_STORED": None,
    "ON_STORED_SECRET": None,
    "ON_STORED_PRIVATE": False,
    "LOG_FORMAT": "plain",
    "REQUEST_LOG": "-",
    "AUDIT_LOG": None,
    "TRACES": False,
    "ACCESS_FILE": None,
    "SECRET_KEY": None,
    "OIDC_ISSUER": None,
    "OIDC_CLIENT_ID": None,
    "OIDC_CLIENT_SECRET": None,
    "OIDC_GROUPS_CLAIM": "groups",
    "IDENTITY_HEADER": None,
    "IDENTITY_GROUPS_HEADER": None,
}

VALID: list[tuple[str, str, Any]] = [
    ("STORE_URL", "/srv/files", "/srv/files"),
    ("STORE_ID", "0123456789abcdef" * 2, "0123456789abcdef" * 2),
    ("BIND", "0.0.0.0:8000", "0.0.0.0:8000"),
    ("BIND", "[::1]:80", "[::1]:80"),
    ("BIND", "localhost:65535", "localhost:65535"),
    ("BIND", "unix:/run/fileservice.sock", "unix:/run/fileservice.sock"),
    ("BIND", f"unix:/{'a' * 106}", f"unix:/{'a' * 106}"),
    ("BIND", "[::ffff:127.0.0.1]:8000", "[::ffff:127.0.0.1]:8000"),
    ("BIND", "my_host:8000", "my_host:8000"),
    ("WORKERS", "1", 1),
    ("WORKERS", "16", 16),
    ("MAX_FILE_SIZE", "1", 1),
    ("MAX_FILE_SIZE", "1B", 1),
    ("MAX_FILE_SIZE", "3KiB", 3 * 1024),
    ("MAX_FILE_SIZE", "3MiB", 3 * 1024**2),
    ("MAX_FILE_SIZE", "3 GiB", 3 * 1024**3),
    ("MAX_FILE_SIZE", "1TiB", 1024**4),
    ("MIN_FREE_SPACE", "0", 0),
    ("MIN_FREE_SPACE", "10GiB", 10 * 1024**3),
    ("ALLOWED_EXTENSIONS", "pdf", ("pdf",)),
    ("ALLOWED_EXTENSIONS", " .PDF, txt,svg ", ("pdf", "txt", "svg")),
    ("MAX_ARCHIVE_MEMBERS", "1", 1),
    ("MAX_UNPACKED_SIZE", "1TiB", 1024**4),
    ("MAX_COMPRESSION_RATIO", "1000", 1000),
    ("MAX_IMAGE_PIXELS", "1000000", 1_000_000),
    ("REFUSED_CONTENT", "none", frozenset()),
    ("REFUSED_CONTENT", "macros, links", frozenset({ContentRisk.MACROS, ContentRisk.LINKS})),
    ("GRACE_PERIOD", "90s", 90),
    ("DRAIN_DELAY", "0s", 0),
    ("DRAIN_DELAY", "5s", 5),
    ("FSYNC", "false", False),
    ("UMASK", "027", 0o027),
    ("UMASK", "0022", 0o022),
    ("UMASK", "000", 0),
    ("STORE_URL", "s3://bucket/a?region=r", "s3://bucket/a?region=r"),
    ("FSYNC", "True", True),
    ("DIGEST", "sha-256", True),
    ("DIGEST", "none", False),
    ("IDLE_TIMEOUT", "45s", 45),
    ("IDLE_TIMEOUT", "1.5s", 1.5),
    ("IDLE_TIMEOUT", "2m", 120),
    ("IDLE_TIMEOUT", "3h", 3 * 3600),
    ("IDLE_TIMEOUT", "1s", 1),
    ("IDLE_TIMEOUT", "1d", 86400),
    ("UPLOAD_EXPIRY", "7d", 7 * 86400),
    ("UPLOAD_EXPIRY", "3650d", 3650 * 86400),
    ("FILE_EXPIRY", "7d", 7 * 86400),
    ("FILE_EXPIRY_MAX", "1s", 1),
    ("FILE_EXPIRY_MAX", "3650d", 3650 * 86400),
    ("MAX_UNFINISHED_UPLOADS", "1", 1),
    ("MAX_UNFINISHED_UPLOADS_PER_CLIENT", "50000", 50_000),
    ("CORS_ORIGINS", "*", ("*",)),
    (
        "CORS_ORIGINS",
        "https://app.example.org, http://localhost:3000",
        ("https://app.example.org", "http://localhost:3000"),
    ),
    ("PUBLIC_URL", "https://files.example.org", "https://files.example.org"),
    ("PUBLIC_URL", "https://example.org/files/", "https://example.org/files"),
    ("PUBLIC_URL", "http://[::1]:8000", "http://[::1]:8000"),
    ("PUBLIC_URL", "HTTPS://example.org", "https://example.org"),
    ("PUBLIC_URL", "https://example.org/a/b.c-d", "https://example.org/a/b.c-d"),
    ("TRUSTED_PROXIES", "10.0.0.1", (ipaddress.ip_network("10.0.0.1/32"),)),
    ("ALLOWED_HOSTS", "*", ("*",)),
    ("ANONYMOUS", "none", frozenset()),
    ("MAX_UPLOADS", "1", 1),
    ("AUTH_FAILURE_LIMIT", "none", None),
    ("AUTH_FAILURE_LIMIT", "3 per 2 hours", limits.parse("3/2hours")),
    ("RATE_LIMIT", "none", None),
    ("RATE_LIMIT", "100/minute", RateLimit((limits.parse("100/minute"),))),
    ("RATE_LIMIT", "500B/second", RateLimit((), (limits.parse("500/second"),))),
    (
        "RATE_LIMIT",
        "100/minute, 10GiB/day,1000 per hour",
        RateLimit(
            (limits.parse("100/minute"), limits.parse("1000/hour")),
            (limits.parse(f"{10 * 1024**3}/day"),),
        ),
    ),
    ("LOG_FORMAT", "json", "json"),
    ("REQUEST_LOG", "none", None),
    ("REQUEST_LOG", "/tmp/requests.log", "/tmp/requests.log"),
    ("AUDIT_LOG", "-", "-"),
    ("TRACES", "otlp", True),
    ("LIMITS_URL", "redis://:secret@host:6379/0", "redis://:secret@host:6379/0"),
    ("LIMITS_URL", "rediss://host", "rediss://host"),
    ("LIMITS_URL", "redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock"),
    ("CLAMD_URL", "tcp://clamav:3310", ("clamav", 3310)),
    ("CLAMD_URL", "tcp://[::1]:3310", ("::1", 3310)),
    ("CLAMD_URL", "unix:/run/clamav/clamd.ctl", "/run/clamav/clamd.ctl"),
    ("CLAMD_FAIL", "open", "open"),
    ("CLAMD_TIMEOUT", "1h", 3600),
    ("ON_STAGED", "sh -c 'exit 1'", (shutil.which("sh"), "-c", "exit 1")),
    ("ON_STAGED", "/bin/sh", ("/bin/sh",)),
    ("ON_STAGED_TIMEOUT", "1s", 1),
    ("MAX_STAGED_CHECKS", "16", 16),
    ("ANONYMOUS", "read, delete", frozenset({"read", "delete"})),
    ("ACCESS_FILE", "/etc/fileservice/access.toml", Path("/etc/fileservice/access.toml")),
    ("ACCESS_FILE", "access.toml", Path("access.toml").absolute()),
    ("SECRET_KEY", "k" * 32, b"k" * 32),
    ("OIDC_GROUPS_CLAIM", "https://example.org/roles", "https://example.org/roles"),
    (
        "ALLOWED_HOSTS",
        "files.example.org, *.lan,10.0.0.0/8,[fd00::1]",
        (
            "files.example.org",
            "*.lan",
            ipaddress.ip_network("10.0.0.0/8"),
            ipaddress.ip_network("fd00::1/128"),
        ),
    ),
    (
        "TRUSTED_PROXIES",
        "10.0.0.0/8, ::1",
        (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
    ),
]

INVALID = [
    ("STORE_URL", "ftp://example.org/files"),
    ("STORE_ID", "0123456789ABCDEF" * 2),
    ("STORE_ID", "data"),
    ("BIND", "localhost"),
    ("BIND", "8000"),
    ("BIND", "localhost:http"),
    ("BIND", "localhost:65536"),
    ("BIND", "localhost:-1"),
    ("BIND", "localhost:"),
    ("BIND", ":8000"),
    ("BIND", "::1:8000"),
    ("BIND", "::1"),
    ("BIND", "::1:http"),
    ("BIND", "[::1]"),
    ("BIND", "[::1:8000"),
    ("BIND", "[:::1]:8000"),
    ("BIND", "[localhost]:8000"),
    ("BIND", "http://localhost:8000"),
    ("BIND", "localhost:٨٠"),
    ("BIND", "unix:"),
    ("BIND", f"unix:/{'a' * 107}"),
    ("WORKERS", "0"),
    ("WORKERS", "-1"),
    ("WORKERS", "two"),
    ("WORKERS", "1.5"),
    ("WORKERS", "²"),
    ("MAX_UNFINISHED_UPLOADS", "0"),
    ("MAX_UNFINISHED_UPLOADS_PER_CLIENT", "none"),
    ("MAX_ARCHIVE_MEMBERS", "0"),
    ("MAX_UNPACKED_SIZE", "0"),
    ("MAX_COMPRESSION_RATIO", "200:1"),
    ("MAX_IMAGE_PIXELS", "10MP"),
    ("REFUSED_CONTENT", "viruses"),
    ("REFUSED_CONTENT", "macros,none"),
    ("MAX_FILE_SIZE", "0"),
    ("MAX_FILE_SIZE", "-1"),
    ("MAX_FILE_SIZE", "5GB"),
    ("MAX_FILE_SIZE", "5 apples"),
    ("MAX_FILE_SIZE", "1.5GiB"),
    ("MAX_FILE_SIZE", "GiB"),
    ("MAX_FILE_SIZE", "\u0665GiB"),
    ("MIN_FREE_SPACE", "some"),
    ("ALLOWED_EXTENSIONS", "pdf,exe"),
    ("ALLOWED_EXTENSIONS", "pdf,,txt"),
    ("ALLOWED_EXTENSIONS", "pdf txt"),
    ("ALLOWED_EXTENSIONS", "*"),
    ("FSYNC", "yes"),
    ("UMASK", "77"),
    ("UMASK", "277"),
    ("UMASK", "0o77"),
    ("UMASK", "088"),
    ("UMASK", "u=rwx"),
    ("DOWNLOAD_REDIRECT", "1"),
    ("STORE_URL", "s3://b"),
    ("STORE_URL", "s3://bucket/?endpoint=here"),
    ("FSYNC", "0"),
    ("DIGEST", "md5"),
    ("DIGEST", "true"),
    ("GRACE_PERIOD", "0s"),
    ("DRAIN_DELAY", "0"),
    ("DRAIN_DELAY", "-1s"),
    ("IDLE_TIMEOUT", "30"),
    ("IDLE_TIMEOUT", "0s"),
    ("IDLE_TIMEOUT", "0.001s"),
    ("IDLE_TIMEOUT", "0.999s"),
    ("IDLE_TIMEOUT", "25h"),
    ("IDLE_TIMEOUT", "999999999d"),
    ("IDLE_TIMEOUT", "-1s"),
    ("IDLE_TIMEOUT", "30 minutes"),
    ("IDLE_TIMEOUT", "infs"),
    ("UPLOAD_EXPIRY", "24"),
    ("UPLOAD_EXPIRY", "0.5s"),
    ("UPLOAD_EXPIRY", "999999999d"),
    ("FILE_EXPIRY", "7"),
    ("FILE_EXPIRY", "0s"),
    ("FILE_EXPIRY_MAX", "never"),
    ("FILE_EXPIRY_MAX", "3651d"),
    ("CORS_ORIGINS", "app.example.org"),
    ("CORS_ORIGINS", "https://app.example.org/"),
    ("CORS_ORIGINS", "https://app.example.org,"),
    ("PUBLIC_URL", "files.example.org"),
    ("PUBLIC_URL", "ftp://files.example.org"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://a..b"),
    ("PUBLIC_URL", "https://me@example.org"),
    ("PUBLIC_URL", "https://example.org//evil.example"),
    ("PUBLIC_URL", "https://example.org/../files"),
    ("PUBLIC_URL", "https://example.org/%66iles"),
    ("PUBLIC_URL", "https://example.org/?a=b"),
    ("PUBLIC_URL", "https://example.org/#here"),
    ("PUBLIC_URL", "http://[::1"),
    ("PUBLIC_URL", "http://example.org:http"),
    ("TRUSTED_PROXIES", "proxy.example.org"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,"),
    ("TRUSTED_PROXIES", "*"),
    ("ALLOWED_HOSTS", "files.example.org:8000"),
    ("ALLOWED_HOSTS", "https://files.example.org"),
    ("ALLOWED_HOSTS", "files.*.org"),
    ("ALLOWED_HOSTS", "10.0.0.1/8"),
    ("ALLOWED_HOSTS", "a,"),
    ("MAX_UPLOADS", "0"),
    ("AUTH_FAILURE_LIMIT", "10"),
    ("AUTH_FAILURE_LIMIT", "10MiB/minute"),
    ("AUTH_FAILURE_LIMIT", "10/minute,100/day"),
    ("AUTH_FAILURE_LIMIT", "0/minute"),
    ("RATE_LIMIT", "100"),
    ("RATE_LIMIT", "100/minute,"),
    ("RATE_LIMIT", "100/fortnight"),
    ("RATE_LIMIT", "10GB/day"),
    ("RATE_LIMIT", "10Gi/day"),
    ("RATE_LIMIT", "0B/day"),
    ("RATE_LIMIT", "-1/day"),
    ("RATE_LIMIT", "1.5/day"),
    ("RATE_LIMIT", "none,1/day"),
    ("LOG_FORMAT", "xml"),
    ("TRACES", "zipkin"),
    ("REQUEST_LOG", "/no/such/directory/requests.log"),
    ("AUDIT_LOG", "/no/such/directory/audit.log"),
    ("LIMITS_URL", "memcached://host"),
    ("LIMITS_URL", "host:6379"),
    ("LIMITS_URL", "redis:"),
    ("LIMITS_URL", "redis://host:port"),
    ("LIMITS_URL", "redis://[::1:6379"),
    ("CLAMD_URL", "clamav:3310"),
    ("CLAMD_URL", "tcp://clamav"),
    ("CLAMD_URL", "tcp://::1:3310"),
    ("CLAMD_URL", "tcp://:3310"),
    ("CLAMD_URL", "tcp://clamav:3310/"),
    ("CLAMD_URL", "unix:clamd.ctl"),
    ("CLAMD_URL", f"unix:/{'a' * 107}"),
    ("CLAMD_FAIL", "true"),
    ("CLAMD_TIMEOUT", "0s"),
    ("ON_STAGED", "/no/such/program"),
    ("ON_STAGED", "sh -c 'exit"),
    ("ON_STAGED", __file__),  # it may not be run
    ("ON_STAGED_TIMEOUT", "2h"),
    ("MAX_STAGED_CHECKS", "0"),
    ("ANONYMOUS", "none,read"),
    ("ANONYMOUS", "reed"),
    ("ANONYMOUS", "list,share"),
    ("ANONYMOUS", "admin"),
    ("ANONYMOUS", ","),
    ("ACCESS_FILE", "access\0.toml"),
    ("SECRET_KEY", "k" * 31),
    ("ON_STORED", "ftp://example.org/"),
    ("ON_STORED", "https://user:secret@example.org/"),
    ("ON_STORED", "https://example.org/#top"),
    ("ON_STORED", "https://example.org/a b"),
    ("ON_STORED", "https://example.org:99999/"),
    ("ON_STORED", "https:///events"),
    ("ON_STORED_SECRET", "c2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHM="),
    ("ON_STORED_SECRET", "whsec_c2hvcnQ="),
    ("ON_STORED_SECRET", "whsec_" + "A" * 88),
    ("ON_STORED_SECRET", "whsec_not base64 not base64 not base64 not base64"),
    ("ON_STORED_PRIVATE", "yes"),
    ("OIDC_ISSUER", "login.example.org"),
    ("OIDC_ISSUER", "http://login.example.org"),
    ("OIDC_ISSUER", "https://login.example.org/?a=b"),
    ("OIDC_ISSUER", "https://login.example.org#a"),
    ("OIDC_ISSUER", "https://me@login.example.org"),
    ("OIDC_CLIENT_ID", "caf\u00e9"),
    ("OIDC_CLIENT_SECRET", "secret\n"),
    ("OIDC_GROUPS_CLAIM", "my groups"),
    ("IDENTITY_HEADER", "X_Remote_User"),
    ("IDENTITY_HEADER", "X-Remote-User:"),
    ("IDENTITY_HEADER", "X-Remote-User, X-Email"),
    ("IDENTITY_HEADER", "-X"),
    ("IDENTITY_HEADER", "Rémote-User"),
    ("IDENTITY_HEADER", "Authorization"),
    ("IDENTITY_HEADER", "x-forwarded-for"),
    ("IDENTITY_GROUPS_HEADER", "X Remote Groups"),
    ("IDENTITY_GROUPS_HEADER", "Cookie"),
]


NEEDING_OTHERS = {
    "DOWNLOAD_REDIRECT",
    "IDENTITY_HEADER",
    "IDENTITY_GROUPS_HEADER",
    "OIDC_ISSUER",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
    "ON_STORED",
    "ON_STORED_SECRET",
    "ON_STORED_PRIVATE",
}
"""Settings that are valid only together with others."""


def test_every_variable_has_a_default_a_valid_and_an_invalid_value_here() -> None:
    assert set(DEFAULTS) == set(VARIABLES)
    assert {name for name, _, _ in VALID} | NEEDING_OTHERS == set(VARIABLES)
    assert {name for name, _ in INVALID} == set(VARIABLES)


@pytest.mark.parametrize("name", DEFAULTS)
def test_unset_or_empty_variable_has_its_default(name: str) -> None:
    attribute = name.lower()

    assert getattr(read(), attribute) == DEFAULTS[name]
    assert getattr(read(**{name: ""}), attribute) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "text", "value"), VALID)
def test_valid_value_is_parsed(name: str, text: str, value: Any) -> None:
    assert getattr(read(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(("name", "text"), INVALID)
def test_invalid_value_is_reported_with_its_name_and_text(name: str, text: str) -> None:
    [problem] = problems_of(**{name: text})

    beginning = f"FILESERVICE_{name}: " if name in SECRETS else f"FILESERVICE_{name}={text!r}: "
    assert problem.startswith(beginning)
    assert len(problem) > len(beginning)


def test_ipv6_address_without_brackets_is_reported_with_the_right_form() -> None:
    [problem] = problems_of(BIND="::1:8000")

    assert problem.endswith("an IPv6 address needs brackets: [::1]:8000")


SERVICE_DISCOVERY = {
    "FILESERVICE_SERVICE_HOST": "10.96.0.17",
    "FILESERVICE_SERVICE_PORT": "8000",
    "FILESERVICE_SERVICE_PORT_HTTP": "8000",
    "FILESERVICE_SERVICE_PORT_HTTP_ALT": "8080",
    "FILESERVICE_PORT": "tcp://10.96.0.17:8000",
    "FILESERVICE_PORT_8000_TCP": "tcp://10.96.0.17:8000",
    "FILESERVICE_PORT_8000_TCP_PROTO": "tcp",
    "FILESERVICE_PORT_8000_TCP_PORT": "8000",
    "FILESERVICE_PORT_8000_TCP_ADDR": "10.96.0.17",
    "FILESERVICE_PORT_53_UDP": "udp://10.96.0.17:53",
    "FILESERVICE_PORT_53_UDP_PROTO": "udp",
    "FILESERVICE_PORT_9_SCTP_ADDR": "fd00::17",
    "FILESERVICE_PUBLIC_URL_SERVICE_HOST": "10.96.0.18",
    "FILESERVICE_WORKERS_SERVICE_PORT": "80",
    "FILESERVICE_WORKERS_PORT": "tcp://10.96.0.19:80",
    "FILESERVICE_WORKERS_PORT_80_TCP_ADDR": "10.96.0.19",
}


def test_variables_that_kubernetes_sets_for_a_service_of_this_name_are_ignored() -> None:
    assert Settings.from_environ(SERVICE_DISCOVERY | {"FILESERVICE_WORKERS": "3"}).workers == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "8000"),
        ("SERVICE_PORT", "http"),
        ("SERVICE_HOTS", "10.96.0.17"),
        ("PORT_8000", "tcp://10.96.0.17:8000"),
        ("PORT_8000_TCP", "8000"),
        ("PORT_8000_TCP_PROTO", "http"),
        ("PORT_8000_TCP_NAME", "http"),
    ],
)
def test_variable_that_resembles_one_of_kubernetes_is_reported(name: str, text: str) -> None:
    [problem] = problems_of(**{name: text})

    assert problem.startswith(f"FILESERVICE_{name}: there is no such setting")


def test_all_errors_are_reported_together() -> None:
    invalid = dict(reversed(INVALID))

    problems = problems_of(**invalid, MAX_FIEL_SIZE="1GiB", COLOUR="blue")

    assert len(problems) == len(invalid) + 2
    for name in (*invalid, "MAX_FIEL_SIZE", "COLOUR"):
        assert any(problem.startswith(f"FILESERVICE_{name}") for problem in problems)


def test_message_of_one_error_is_one_line() -> None:
    with pytest.raises(SettingsError) as raised:
        read(WORKERS="0")

    assert str(raised.value) == f"fileservice cannot start: {raised.value.problems[0]}"


def test_message_of_several_errors_has_one_line_for_each_problem() -> None:
    with pytest.raises(SettingsError) as raised:
        read(WORKERS="0", FSYNC="perhaps")

    lines = str(raised.value).splitlines()
    assert lines[0] == "fileservice cannot start:"
    assert lines[1:] == [f"  {problem}" for problem in raised.value.problems]


def test_variables_of_the_client_are_no_settings_and_no_mistakes() -> None:
    Settings.from_environ({"FILESERVICE_URL": "http://h", "FILESERVICE_TOKEN": "fs_x"})


def test_unknown_variable_is_reported_with_a_similar_name() -> None:
    [misspelt] = problems_of(MAX_FIEL_SIZE="1GiB")
    [unknown] = problems_of(COLOUR="blue")

    assert misspelt == (
        "FILESERVICE_MAX_FIEL_SIZE: there is no such setting;"
        " did you mean FILESERVICE_MAX_FILE_SIZE?"
    )
    assert unknown == "FILESERVICE_COLOUR: there is no such setting"


def test_unknown_extensions_are_reported_with_the_known_ones() -> None:
    [problem] = problems_of(ALLOWED_EXTENSIONS="pdf,exe,dll")

    assert "'exe', 'dll'" in problem
    assert "docx" in problem


def test_variables_without_the_prefix_are_ignored() -> None:
    environment = {"PATH": "/bin", "GUNICORN_CMD_ARGS": "-w 2", "fileservice_bind": "x"}

    assert Settings.from_environ(environment) == read()


def test_default_number_of_workers_is_the_number_of_usable_cpus() -> None:
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(affinity)})
    try:
        assert read().workers == 1
    finally:
        os.sched_setaffinity(0, affinity)


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({"BIND": "127.0.0.1:8000"}, ()),
        ({"BIND": "127.1.2.3:8000"}, ()),
        ({"BIND": "localhost:8000"}, ()),
        ({"BIND": "[::1]:8000"}, ()),
        ({"PUBLIC_URL": "https://Files.example.org:8443/a"}, ("files.example.org",)),
        ({"ALLOWED_HOSTS": "a.example"}, ("a.example",)),
        (
            {"ALLOWED_HOSTS": "a.example", "PUBLIC_URL": "https://b.example"},
            ("a.example", "b.example"),
        ),
        ({"BIND": "0.0.0.0:8000", "ALLOWED_HOSTS": "a.example"}, ("a.example",)),
        ({"BIND": "0.0.0.0:8000"}, ("*",)),
        ({"BIND": "[::]:8000"}, ("*",)),
        ({"BIND": "files.example.org:8000", "PUBLIC_URL": "https://b.example"}, ("*",)),
        ({"BIND": "unix:/run/localhost:1"}, ("*",)),
    ],
)
def test_any_host_is_served_unless_the_service_listens_on_loopback(
    settings: dict[str, str], hosts: tuple[str, ...]
) -> None:
    assert read(**settings).hosts == hosts


def test_settings_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().workers = 3  # type: ignore[misc]
