"""The Dockerfile and the compose files agree with the settings."""

import re
from pathlib import Path

import pytest

from fileservice.settings import PREFIX, VARIABLES, Settings

ROOT = Path(__file__).parent.parent
SET_IN_IMAGE = set(re.findall(rf"{PREFIX}(\w+)=", (ROOT / "Dockerfile").read_text()))
FIXED_BY_COMPOSE_FILE = {
    # The store is a directory, and only downloads from a bucket can be redirected.
    "docker-compose.yml": {"BIND", "STORE_URL", "DOWNLOAD_REDIRECT"},
    # A bucket does not have an identity.
    "docker-compose.cluster.yml": {
        "BIND",
        "STORE_URL",
        "STORE_ID",
        "DOWNLOAD_REDIRECT",
        "TRUSTED_PROXIES",
    },
}


def environment(name: str) -> dict[str, str | None]:
    """Return the variables in a compose file; the value of one that is passed through is None."""
    (block,) = re.findall(
        r"^  fileservice:\n(?:    .*\n)*?    environment:\n((?:      .*\n)+)",
        (ROOT / name).read_text(),
        re.MULTILINE,
    )
    lines = [line.strip().removeprefix("- ") for line in block.splitlines() if "# " not in line]
    pairs = [line.partition("=") for line in lines]
    return {name: value if separator else None for name, separator, value in pairs}


@pytest.mark.parametrize("name", FIXED_BY_COMPOSE_FILE)
def test_compose_file_passes_through_every_setting_that_it_does_not_fix(name: str) -> None:
    variables = environment(name).items()
    passed = {
        variable.removeprefix(PREFIX)
        for variable, value in variables
        if value is None and not variable.startswith("OTEL_")
    }
    secret_files = {f"{name}_FILE" for name, variable in VARIABLES.items() if variable.is_secret}
    assert passed == (VARIABLES.keys() | secret_files) - FIXED_BY_COMPOSE_FILE[name]


@pytest.mark.parametrize("name", FIXED_BY_COMPOSE_FILE)
def test_settings_fixed_by_a_compose_file_are_valid(name: str) -> None:
    fixed = {variable: value for variable, value in environment(name).items() if value is not None}
    ours = {variable.removeprefix(PREFIX) for variable in fixed if variable.startswith(PREFIX)}
    assert (
        ours
        <= FIXED_BY_COMPOSE_FILE[name]
        <= ours | SET_IN_IMAGE | {"DOWNLOAD_REDIRECT", "STORE_ID"}
    )
    Settings.from_environ(fixed)
