"""The files for containers and the settings know each other."""

import re
from pathlib import Path

import pytest

from fileservice.settings import PREFIX, VARIABLES, Settings

ROOT = Path(__file__).parent.parent
IN_THE_IMAGE = set(re.findall(rf"{PREFIX}(\w+)=", (ROOT / "Dockerfile").read_text()))
FIXED = {
    # The store is a directory, from which nobody can be redirected.
    "docker-compose.yml": {"BIND", "STORE_URL", "DOWNLOAD_REDIRECT"},
    # A bucket has no identity.
    "docker-compose.cluster.yml": {
        "BIND",
        "STORE_URL",
        "STORE_ID",
        "DOWNLOAD_REDIRECT",
        "TRUSTED_PROXIES",
    },
}


def environment(name: str) -> dict[str, str | None]:
    """The variables of the service in a compose file; None for one that is passed on."""
    (block,) = re.findall(
        r"^  fileservice:\n(?:    .*\n)*?    environment:\n((?:      .*\n)+)",
        (ROOT / name).read_text(),
        re.MULTILINE,
    )
    lines = [line.strip().removeprefix("- ") for line in block.splitlines() if "# " not in line]
    pairs = [line.partition("=") for line in lines]
    return {name: value if separator else None for name, separator, value in pairs}


@pytest.mark.parametrize("name", FIXED)
def test_a_compose_file_passes_on_every_setting_that_it_does_not_fix(name: str) -> None:
    found = environment(name)
    passed = {variable.removeprefix(PREFIX) for variable, value in found.items() if value is None}
    assert passed == VARIABLES.keys() - FIXED[name]


@pytest.mark.parametrize("name", FIXED)
def test_what_is_fixed_makes_sense(name: str) -> None:
    fixed = {variable: value for variable, value in environment(name).items() if value is not None}
    ours = {variable.removeprefix(PREFIX) for variable in fixed if variable.startswith(PREFIX)}
    assert ours <= FIXED[name] <= ours | IN_THE_IMAGE | {"DOWNLOAD_REDIRECT", "STORE_ID"}
    Settings.from_environ(fixed)
