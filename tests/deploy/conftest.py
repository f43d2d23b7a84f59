"""The tools that check what is in deploy/."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.requirements import require

DIRECTORY = Path(os.environ.get("DEPLOY_TOOLS", Path(sys.prefix, "deploy")))
"""The environment with the packages of deploy/requirements.txt."""


@pytest.fixture(scope="session")
def deploy_tool() -> Callable[[str], str]:
    """Return the path of a program of that environment: `deploy_tool("caddy")`."""

    def find(name: str) -> str:
        path = DIRECTORY / "bin" / name
        if not path.exists():
            require(f"{path} is missing: run `make deploy-tools`")
        return str(path)

    return find
