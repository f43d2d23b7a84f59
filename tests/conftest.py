"""Fixtures: real servers on real sockets, and the real documents."""

import contextlib
import functools
import gc
import itertools
import os
import re
import secrets
import shutil
import subprocess
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from fileservice.storage.local import space
from tests.support.disk import Disk
from tests.support.mounts import have_mounts_of_our_own
from tests.support.requirements import require
from tests.support.reverse_proxies import SET_UPS, ProxiedServer, proxied_server
from tests.support.seaweed import CREDENTIALS, SeaweedClient, shared_seaweed
from tests.support.servers import LiveServer, S3LiveServer
from tests.support.shared import made_once, shared_directory

# How long an example takes depends on what else the machine does, and most text is no file name.
hypothesis.settings.register_profile(
    "fileservice",
    deadline=None,
    derandomize="CI" in os.environ,  # what a change is checked with must not depend on luck
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.filter_too_much,
    ],
)
hypothesis.settings.load_profile("fileservice")
hypothesis.settings.register_profile(
    "fast",
    hypothesis.settings.get_profile("fileservice"),
    max_examples=20,
    derandomize=True,
)

# Each client would read more than a hundred certificates, which takes longer than most tests.
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)

# Requests for which a test says nothing else: five seconds are too few on a machine that is busy.
vars(httpx._config.DEFAULT_TIMEOUT_CONFIG).update(httpx.Timeout(60).as_dict())

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/http --store s3` runs the tests over HTTP against a bucket."""
    parser.addoption("--store", choices=["local", "s3"], default="local")


def pytest_configure(config: pytest.Config) -> None:
    """Provide what all processes share, unless this is one of pytest-xdist's."""
    have_mounts_of_our_own()
    if not hasattr(config, "workerinput"):
        stack = contextlib.ExitStack()
        stack.enter_context(shared_directory())
        config.add_cleanup(stack.close)


LONGEST_FIRST = ("browser", "cluster", "storage/s3", "clients", "faults", "serving", "http")
"""The directories whose modules take long."""


class _FewBrowsers(LoadScopeScheduling):
    """Runs the tests of each module in one process, and those with a browser in two in all.

    To start a browser, and to compile the scripts of the page, takes longer than most tests.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module.startswith("tests/browser/"):
            return f"browser {zlib.crc32(module.encode()) % 2}"
        return super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _FewBrowsers:
    """Say which process runs which tests."""
    return _FewBrowsers(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among the tests, neither now nor later: all of them stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process works on when the others have finished."""

    def rank(item: pytest.Item) -> int:
        directory = item.path.parent.relative_to(HERE).as_posix()
        return LONGEST_FIRST.index(directory) if directory in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=rank)  # pytest-randomly has shuffled them; those of a rank stay so


_numbers = itertools.count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of this test's own.

    The fixture of pytest looks at the directories of all earlier tests to find a free number.
    """
    name = re.sub(r"\W", "_", request.node.name)[:20]
    return tmp_path_factory.mktemp(f"{name}-{next(_numbers)}", numbered=False)


@pytest.fixture
def over_a_directory(request: pytest.FixtureRequest) -> None:
    """Skip the test over a bucket: it is about how a directory is written to."""
    if request.config.getoption("store") == "s3":
        pytest.skip("about a directory")


@contextlib.contextmanager
def _servers(
    request: pytest.FixtureRequest, directory: Path
) -> Iterator[Callable[..., LiveServer]]:
    """Return a function that starts servers, over the store that the tests run with."""
    servers: list[LiveServer] = []

    def start(**settings: str) -> LiveServer:
        if request.config.getoption("store") == "s3" and "STORE_URL" not in settings:
            seaweed = request.getfixturevalue("seaweed")
            prefix = f"own-{secrets.token_hex(8)}"
            server: LiveServer = S3LiveServer(seaweed, prefix, directory, settings)
        else:
            settings.setdefault("STORE_URL", str(directory / "store"))
            server = LiveServer(settings)
        servers.append(server)
        return server

    try:
        yield start
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def start_server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., LiveServer]]:
    """Start servers of this test's own: `start_server(MAX_FILE_SIZE="1MiB", WORKERS="2")`."""
    with _servers(request, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_module_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., LiveServer]]:
    """Start servers that the tests of a module share: `start_module_server(ANONYMOUS="none")`."""
    with _servers(request, tmp_path_factory.mktemp("module")) as start:
        yield start


@pytest.fixture(scope="session")
def shared_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """One server with the default settings and two workers, for all tests that can share it."""
    directory = tmp_path_factory.mktemp("shared")
    if request.config.getoption("store") == "s3":
        seaweed = request.getfixturevalue("seaweed")
        prefix = f"shared-{secrets.token_hex(8)}"
        server: LiveServer = S3LiveServer(seaweed, prefix, directory, {"WORKERS": "2"})
    else:
        server = LiveServer({"STORE_URL": str(directory / "store"), "WORKERS": "2"})
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
    """Return the path of a program: `tool("curl")`; skip the test if it is not installed."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            require(f"{name} is not installed")
        assert path
        return path

    return find


@pytest.fixture(scope="session")
def nginx(tool: Callable[[str], str]) -> None:
    """Require nginx, which may be in a directory that only the PATH of root has."""
    if not Path("/usr/sbin/nginx").exists():
        tool("nginx")


@pytest.fixture(
    params=[SET_UPS[0], *(pytest.param(one, marks=pytest.mark.thorough) for one in SET_UPS[1:])]
)
def behind(
    request: pytest.FixtureRequest,
    nginx: None,
    tmp_path: Path,
    start_server: Callable[..., LiveServer],
) -> Iterator[ProxiedServer]:
    """A server behind nginx, in each of the ways that are documented."""
    with proxied_server(request.param, tmp_path, start_server, WORKERS="1") as found:
        yield found


@pytest.fixture(scope="session")
def npm_install(tool: Callable[[str], str]) -> Callable[[Path], Path]:
    """Install what a directory's package-lock.json names; return the directory with it.

    All processes of a test run share that directory.
    """

    def install(source: Path, directory: Path) -> str:
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
        return str(directory)

    def install_once(source: Path) -> Path:
        return Path(made_once(f"npm-{source.name}", lambda directory: install(source, directory)))

    return install_once


@pytest.fixture(scope="session")
def root() -> None:
    """Require root: the test mounts file systems or traces other processes."""
    if os.geteuid() != 0:
        require("only root can mount file systems")


@pytest.fixture
def disk(root: None, tool: Callable[[str], str], tmp_path: Path) -> Iterator[Disk]:
    for name in ("mkfs.ext4", "losetup", "mount", "umount"):
        tool(name)
    if not Path("/dev/loop-control").exists():
        pytest.skip("there are no loop devices here")
    disk = Disk(tmp_path)
    disk.mount()
    yield disk
    if disk.path.is_mount():
        disk.unmount()


@pytest.fixture(scope="session")
def seaweed() -> Iterator[SeaweedClient]:
    """One store that speaks S3, for all tests of this run, whatever process they are in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        try:
            with shared_seaweed() as found:
                yield found
        except FileNotFoundError as error:
            require(str(error))


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let space be reserved as on a disk, also if temporary directories are in memory."""
    monkeypatch.setattr(space, "is_tmpfs", lambda _path: False)
