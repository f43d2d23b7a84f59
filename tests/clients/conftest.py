"""Fixtures: the clients, the files they upload, and servers for them."""

import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.clients import Client
from tests.support.requirements import require
from tests.support.servers import LiveServer

HERE = Path(__file__).parent
first_client = pytest.mark.parametrize(
    "client", ["tus_js", pytest.param("tuspy", marks=pytest.mark.thorough)], indirect=True
)
"""For what the other client does in the same way: its process costs more than the upload."""


@pytest.fixture(scope="session")
def tus_js(tool: Callable[[str], str], npm_install: Callable[[Path], Path]) -> Client:
    """tus-js-client under Node."""
    directory = npm_install(HERE)
    # Other processes of the test run use the directory, and one of them may be reading its copy.
    script = directory / f"upload-{os.getpid()}.mjs"
    shutil.copy(HERE / "upload.mjs", script)
    return Client("tus-js-client", (tool("node"), script.name), directory)


@pytest.fixture(scope="session")
def tuspy() -> Client:
    """tuspy, in Python."""
    if importlib.util.find_spec("tusclient") is None:
        require("tuspy is not installed")
    return Client("tuspy", (sys.executable, "-W", "ignore", "upload.py"), HERE)


@pytest.fixture(params=["tus_js", "tuspy"])
def client(request: pytest.FixtureRequest) -> Client:
    """Each of the clients."""
    client: Client = request.getfixturevalue(request.param)
    return client


@pytest.fixture
def make_text(tmp_path: Path) -> Callable[..., Path]:
    """Make a text file: `make_text(size, seed=3)`."""

    def make(size: int, seed: int = 0) -> Path:
        path = tmp_path / f"{size}-{seed}.txt"
        text = random.Random(seed).randbytes(size // 2 + 1).hex("\n", 32)
        path.write_bytes(text.encode("ascii")[:size])
        return path

    return make


@pytest.fixture(scope="session")
def tus_shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Three workers, for all tests that kill none of them."""
    server = LiveServer(
        {"STORE_URL": str(tmp_path_factory.mktemp("tus") / "store"), "WORKERS": "3"}
    )
    yield server
    server.stop()


@pytest.fixture
def tus_server(tus_shared_server: LiveServer) -> LiveServer:
    """The shared server, without files."""
    tus_shared_server.clear()
    return tus_shared_server
