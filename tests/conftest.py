"""Fixtures: real servers on real sockets, and the real documents."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from live import LiveServer
from needs import require

hypothesis.settings.register_profile("fileservice", deadline=None)
hypothesis.settings.load_profile("fileservice")

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Start servers of this test's own: `start_server(MAX_FILE_SIZE="1MiB", WORKERS="2")`."""
    servers: list[LiveServer] = []

    def start(**settings: str) -> LiveServer:
        settings.setdefault("STORE_URL", str(tmp_path / "store"))
        server = LiveServer(settings)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server with the default settings and two workers, for all tests that can share it."""
    server = LiveServer(
        {"STORE_URL": str(tmp_path_factory.mktemp("shared") / "store"), "WORKERS": "2"}
    )
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: LiveServer) -> LiveServer:
    """The shared server, emptied."""
    shared_server.clear()
    return shared_server


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """The path of a real document: `sample("note.pdf")`."""
    return lambda name: SAMPLES / name


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
def npm_install(
    tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], Path]:
    """Install what a directory's package-lock.json names; the directory it was installed in."""

    def install(source: Path) -> Path:
        directory = tmp_path_factory.mktemp("node")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, directory)
        done = subprocess.run(
            [tool("npm"), "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        if done.returncode != 0:
            require(f"npm ci does not work here: {done.stderr}")
        return directory

    return install


@pytest.fixture(scope="session")
def root() -> None:
    """The test mounts file systems or looks into other processes."""
    if os.geteuid() != 0:
        require("only root can mount file systems")
