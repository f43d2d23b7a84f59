"""What the tests over HTTP share beside their servers."""

import os
import shutil
from collections.abc import Callable, Iterator

import httpx
import pytest
from live import LiveServer
from live_http.wire import Wire


@pytest.fixture
def client(server: LiveServer) -> Iterator[httpx.Client]:
    """An HTTP client of the shared server, emptied."""
    with server.client() as client:
        yield client


@pytest.fixture
def wire(server: LiveServer) -> Iterator[Wire]:
    """A raw connection to the shared server, emptied."""
    with Wire(server) as wire:
        yield wire


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program: `tool("curl")`. Only outside of CI may one be missing."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            require(f"{name} is not installed")
        assert path
        return path

    return find


@pytest.fixture(scope="session")
def root() -> None:
    """The test mounts file systems or looks into other processes."""
    if os.geteuid() != 0:
        require("only root can mount file systems")


def require(missing: str) -> None:
    """Skip for what is missing here; fail where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{missing}, and in CI it must be")
    pytest.skip(missing)
