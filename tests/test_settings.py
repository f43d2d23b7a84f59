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
    "UPLOAD_EXPIRY": 86400,
    "CORS_ORIGINS": (),
    "PUBLIC_URL": None,
    "TRUSTED_PROXIES": (),
}

GOOD: list[tuple[str, str, Any]] = [
    ("STORE_URL", "/srv/files", "/srv/files"),
    ("STORE_ID", "0123456789abcdef" * 2, "0123456789abcdef" * 2),
    ("BIND", "0.0.0.0:8000", "0.0.0.0:8000"),
    ("BIND", "[::1]:80", "[::1]:80"),
    ("BIND", "localhost:65535", "localhost:65535"),
    ("BIND", "unix:/run/fileservice.sock", "unix:/run/fileservice.sock"),
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
    ("FSYNC", "false", False),
    ("DOWNLOAD_REDIRECT", "true", True),
    ("STORE_URL", "s3://bucket/a?region=r", "s3://bucket/a?region=r"),
    ("FSYNC", "True", True),
    ("DIGEST", "sha-256", True),
    ("DIGEST", "none", False),
    ("IDLE_TIMEOUT", "45s", 45),
    ("IDLE_TIMEOUT", "1.5s", 1.5),
    ("IDLE_TIMEOUT", "2m", 120),
    ("IDLE_TIMEOUT", "3h", 3 * 3600),
    ("IDLE_TIMEOUT", "4d", 4 * 86400),
    ("UPLOAD_EXPIRY", "7d", 7 * 86400),
    ("CORS_ORIGINS", "*", ("*",)),
    (
        "CORS_ORIGINS",
        "https://app.example.org, http://localhost:3000",
        ("https://app.example.org", "http://localhost:3000"),
    ),
    ("PUBLIC_URL", "https://files.example.org", "https://files.example.org"),
    ("PUBLIC_URL", "https://example.org/files/", "https://example.org/files"),
    ("PUBLIC_URL", "http://[::1]:8000", "http://[::1]:8000"),
    ("TRUSTED_PROXIES", "10.0.0.1", (ipaddress.ip_network("10.0.0.1/32"),)),
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
    ("BIND", "localhost:٨٠"),
    ("BIND", "unix:"),
    ("WORKERS", "0"),
    ("WORKERS", "-1"),
    ("WORKERS", "two"),
    ("WORKERS", "1.5"),
    ("WORKERS", "²"),
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
    ("IDLE_TIMEOUT", "30"),
    ("IDLE_TIMEOUT", "0s"),
    ("IDLE_TIMEOUT", "-1s"),
    ("IDLE_TIMEOUT", "30 minutes"),
    ("IDLE_TIMEOUT", "infs"),
    ("UPLOAD_EXPIRY", "24"),
    ("CORS_ORIGINS", "app.example.org"),
    ("CORS_ORIGINS", "https://app.example.org/"),
    ("CORS_ORIGINS", "https://app.example.org,"),
    ("PUBLIC_URL", "files.example.org"),
    ("PUBLIC_URL", "ftp://files.example.org"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://example.org/?a=b"),
    ("PUBLIC_URL", "https://example.org/#here"),
    ("PUBLIC_URL", "http://[::1"),
    ("PUBLIC_URL", "http://example.org:http"),
    ("TRUSTED_PROXIES", "proxy.example.org"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,"),
    ("TRUSTED_PROXIES", "*"),
]


def test_every_variable_is_tested_here() -> None:
    assert set(DEFAULTS) == set(VARIABLES)
    assert {name for name, _, _ in GOOD} == set(VARIABLES)
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


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().workers = 3  # type: ignore[misc]
