"""Settings: read from the environment, and refused all at once where they make no sense."""

import dataclasses
import ipaddress
import os
from typing import Any

import pytest

from fileservice.filetypes import DEFAULT_EXTENSIONS
from fileservice.settings import VARIABLES, Settings, SettingsError, usable_cpus


def read(**variables: str) -> Settings:
    return Settings.from_environ({f"FILESERVICE_{name}": text for name, text in variables.items()})


def problems_of(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        read(**variables)
    return refusal.value.problems


DEFAULTS: dict[str, Any] = {
    "STORE_URL": "./data",
    "STORE_ID": None,
    "BIND": "127.0.0.1:8000",
    "WORKERS": usable_cpus(),
    "MAX_FILE_SIZE": 5 * 1024**3,
    "MIN_FREE_SPACE": 256 * 1024**2,
    "ALLOWED_EXTENSIONS": DEFAULT_EXTENSIONS,
    "FSYNC": True,
    "DOWNLOAD_REDIRECT": False,
    "DIGEST": True,
    "IDLE_TIMEOUT": 30,
    "GRACE_PERIOD": 30,
    "DRAIN_DELAY": 0,
    "UPLOAD_EXPIRY": 86400,
    "MAX_UNFINISHED_UPLOADS": 1000,
    "MAX_UNFINISHED_UPLOADS_PER_CLIENT": 100,
    "CORS_ORIGINS": (),
    "PUBLIC_URL": None,
    "TRUSTED_PROXIES": (),
    "ALLOWED_HOSTS": (),
}

GOOD: list[tuple[str, str, Any]] = [
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
    ("GRACE_PERIOD", "90s", 90),
    ("DRAIN_DELAY", "0s", 0),
    ("DRAIN_DELAY", "5s", 5),
    ("FSYNC", "false", False),
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

BAD = [
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
]


def test_every_variable_is_tested_here() -> None:
    assert set(DEFAULTS) == set(VARIABLES)
    assert {name for name, _, _ in GOOD} | {"DOWNLOAD_REDIRECT"} == set(VARIABLES)
    assert {name for name, _ in BAD} == set(VARIABLES)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_variable_that_is_not_set_or_empty_has_its_default(name: str) -> None:
    attribute = name.lower()

    assert getattr(read(), attribute) == DEFAULTS[name]
    assert getattr(read(**{name: ""}), attribute) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_good_value_is_read(name: str, text: str, value: Any) -> None:
    assert getattr(read(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_refused_with_its_name_and_text(name: str, text: str) -> None:
    [problem] = problems_of(**{name: text})

    assert problem.startswith(f"FILESERVICE_{name}={text!r}: ")
    assert len(problem) > len(f"FILESERVICE_{name}={text!r}: ")


def test_an_ipv6_address_without_brackets_is_refused_with_them() -> None:
    [problem] = problems_of(BIND="::1:8000")

    assert problem.endswith("an IPv6 address needs brackets: [::1]:8000")


def test_downloads_can_be_redirected_to_a_bucket_only() -> None:
    [by_default] = problems_of(DOWNLOAD_REDIRECT="true")
    [by_name] = problems_of(DOWNLOAD_REDIRECT="true", STORE_URL="/srv/files")
    [not_twice] = problems_of(DOWNLOAD_REDIRECT="true", STORE_URL="ftp://a/b")

    assert by_default.startswith("FILESERVICE_DOWNLOAD_REDIRECT='true': ")
    assert "FILESERVICE_STORE_URL='./data'" in by_default
    assert "FILESERVICE_STORE_URL='/srv/files'" in by_name
    assert not_twice.startswith("FILESERVICE_STORE_URL=")
    assert read(DOWNLOAD_REDIRECT="true", STORE_URL="s3://bucket/a").download_redirect is True


KUBERNETES = {
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


def test_what_kubernetes_tells_of_a_service_of_this_name_is_no_setting() -> None:
    assert Settings.from_environ(KUBERNETES | {"FILESERVICE_WORKERS": "3"}).workers == 3


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
def test_what_only_resembles_it_is_refused(name: str, text: str) -> None:
    [problem] = problems_of(**{name: text})

    assert problem.startswith(f"FILESERVICE_{name}: there is no such setting")


def test_all_faults_are_reported_at_once() -> None:
    bad = dict(reversed(BAD))

    problems = problems_of(**bad, MAX_FIEL_SIZE="1GiB", COLOUR="blue")

    assert len(problems) == len(bad) + 2
    for name in (*bad, "MAX_FIEL_SIZE", "COLOUR"):
        assert any(problem.startswith(f"FILESERVICE_{name}") for problem in problems)


def test_the_error_reads_as_one_message_with_a_line_for_each_fault() -> None:
    with pytest.raises(SettingsError) as refusal:
        read(WORKERS="0", FSYNC="perhaps")

    lines = str(refusal.value).splitlines()
    assert lines[0] == "fileservice cannot start:"
    assert lines[1:] == [f"  {problem}" for problem in refusal.value.problems]


def test_an_unknown_name_is_refused_with_a_hint_where_one_is_close() -> None:
    [typo] = problems_of(MAX_FIEL_SIZE="1GiB")
    [strange] = problems_of(COLOUR="blue")

    assert typo == (
        "FILESERVICE_MAX_FIEL_SIZE: there is no such setting;"
        " did you mean FILESERVICE_MAX_FILE_SIZE?"
    )
    assert strange == "FILESERVICE_COLOUR: there is no such setting"


def test_an_unknown_extension_is_named_together_with_those_that_are_known() -> None:
    [problem] = problems_of(ALLOWED_EXTENSIONS="pdf,exe,dll")

    assert "'exe', 'dll'" in problem
    assert "docx" in problem


def test_variables_of_others_are_none_of_our_business() -> None:
    environment = {"PATH": "/bin", "GUNICORN_CMD_ARGS": "-w 2", "fileservice_bind": "x"}

    assert Settings.from_environ(environment) == read()


def test_the_default_number_of_workers_is_that_of_the_cpus_this_process_may_use() -> None:
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        assert read().workers == 1
    finally:
        os.sched_setaffinity(0, mine)


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
def test_who_listens_on_loopback_alone_answers_to_no_other_name_unless_told(
    settings: dict[str, str], hosts: tuple[str, ...]
) -> None:
    assert read(**settings).hosts == hosts


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().workers = 3  # type: ignore[misc]
