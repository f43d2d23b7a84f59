"""Settings that are secrets: where they are read from, and that nothing shows them."""

from pathlib import Path

import pytest

from tests.support.settings import SECRETS, outcome, problems_of, read


def test_url_of_limits_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://:hunter2@host\n")

    settings = read(LIMITS_URL_FILE=str(file))

    assert settings.limits_url == "redis://:hunter2@host"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "url", ["http://:hunter2@host", "redis://user:hunter2", "redis://[:hunter2@host", "hunter2"]
)
def test_error_in_the_url_of_limits_does_not_show_it(url: str, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(url)
    assert "hunter2" not in problems_of(LIMITS_URL=url)[0]
    assert "hunter2" not in problems_of(LIMITS_URL_FILE=str(file))[0]
    assert "hunter2" not in problems_of(LIMITS_URL=url, LIMITS_URL_FILE=str(file))[0]


def test_secret_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 40 + "\n")

    assert read(SECRET_KEY_FILE=str(file)).secret_key == b"k" * 40


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_no_value_of_a_secret_is_in_an_error_or_in_the_text_of_the_settings(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    for secret in ("hunter2\N{EURO SIGN}", "hunter2\n"):
        file.write_text(secret)
        for variables in (
            {name: secret},
            {f"{name}_FILE": str(file)},
            {name: secret, f"{name}_FILE": str(file)},
        ):
            assert "hunter2" not in outcome(**variables)
    assert "hunter2" not in outcome(**{name: "hunter2" * 10})


def test_file_of_a_secret_that_cannot_be_used_is_reported_with_its_path(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff" * 40)
    for path, reason in (
        (empty, "the file is empty"),
        (binary, "the file is not UTF-8"),
        (tmp_path / "none", "No such file"),
        (tmp_path, "the file cannot be read"),
    ):
        [problem] = problems_of(SECRET_KEY_FILE=str(path))
        assert problem.startswith(f"FILESERVICE_SECRET_KEY_FILE={str(path)!r}: ")
        assert reason in problem


def test_secret_that_is_given_twice_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a" * 40)
    [problem] = problems_of(SECRET_KEY="b" * 40, SECRET_KEY_FILE=str(file))

    assert "set one of them" in problem
    assert "aaa" not in problem
    assert "bbb" not in problem


def test_only_secrets_can_be_given_by_a_file() -> None:
    [problem] = problems_of(WORKERS_FILE="/dev/null")

    assert problem.startswith("FILESERVICE_WORKERS_FILE: there is no such setting")
