"""The units in deploy/systemd: systemd accepts them, and the service runs as they confine it."""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import ROOT, LiveServer
from tests.support.wire import Wire, ask, eventually, request

UNITS = ROOT / "deploy" / "systemd"
SERVICE = (UNITS / "fileservice.service").read_text()
TEXT = b"some text\n"
HEALTH = request("GET /healthz")
_REFUSE_EXECUTABLE_MEMORY = (
    "import ctypes, os, sys;"
    "assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0;"  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""What MemoryDenyWriteExecute= does, for the program that the arguments name."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The directory of a copy of the units, whose program exists on this machine."""
    directory = tmp_path / "units"
    shutil.copytree(UNITS, directory)
    (program,) = re.findall("^ExecStart=(.+)$", SERVICE, re.MULTILINE)
    text = SERVICE.replace(program, sys.executable)
    (directory / "fileservice.service").write_text(text)
    return directory


def test_systemd_accepts_the_units(units: Path, tool: Callable[[str], str]) -> None:
    def verify() -> subprocess.CompletedProcess[str]:
        names = ["fileservice.service", "fileservice.socket"]
        paths = [str(units / name) for name in names]
        return subprocess.run(
            [tool("systemd-analyze"), "verify", "--man=no", *paths], capture_output=True, text=True
        )

    found = verify()
    assert (found.returncode, found.stderr) == (0, "")
    with (units / "fileservice.service").open("a") as file:
        file.write("[Service]\nProtectEverything=yes\n")
    assert "ProtectEverything" in verify().stderr


def test_systemd_rates_the_exposure_of_the_service_as_low(
    units: Path, tool: Callable[[str], str]
) -> None:
    def is_below(limit: int) -> bool:
        options = ["--offline=true", "--no-pager", f"--threshold={limit}"]
        path = str(units / "fileservice.service")
        command = [tool("systemd-analyze"), "security", *options, path]
        return subprocess.run(command, capture_output=True).returncode == 0

    assert is_below(20)  # of 100; 15 and less is what systemd itself calls OK for a network service
    assert not is_below(1)


def allowed_calls(systemd_analyze: str) -> set[str]:
    """The names of the system calls that SystemCallFilter= in the unit allows."""
    allowed: set[str] = set()
    for line in re.findall("^SystemCallFilter=(.+)$", SERVICE, re.MULTILINE):
        for name in line.lstrip("~").split():
            names = _calls_of_set(systemd_analyze, name)
            allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def _calls_of_set(systemd_analyze: str, name: str) -> set[str]:
    printed = subprocess.run(
        [systemd_analyze, "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    found: set[str] = set()
    for line in printed.splitlines()[1:]:
        entry = line.strip()
        if entry.startswith("@"):
            found |= _calls_of_set(systemd_analyze, entry)
        elif not entry.startswith("#"):
            found.add(entry)
    return found


def written_paths(trace: str) -> set[str]:
    """The paths that were opened for writing."""
    found = re.findall(r'openat\(AT_FDCWD, "([^"]+)", ([A-Z_|]+).* = \d+$', trace, re.MULTILINE)
    return {path for path, flags in found if "O_WRONLY" in flags or "O_RDWR" in flags}


@pytest.mark.thorough
def test_service_makes_only_calls_that_its_unit_allows(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    strace = [tool("strace"), "-D", "-f", "-o", str(calls), "-e", "signal=none"]
    confined = [sys.executable, "-c", _REFUSE_EXECUTABLE_MEMORY]
    server = LiveServer({"STORE_URL": str(tmp_path / "store")}, *strace, *confined)
    try:
        assert ask(server, request("PUT /upload/a.txt", body=TEXT)).status == 201
        begun = ask(server, request("PUT /upload/b.txt", "Upload-Complete: ?0", body=TEXT))
        assert begun.status == 201
        assert ask(server, request("GET /download/a.txt")).body == TEXT
        assert ask(server, request("GET /download/a.txt", "Range: bytes=0-1,3-4")).status == 206
        assert ask(server, request("GET /download")).status == 200
        assert ask(server, request("DELETE /download/a.txt")).status == 204
        server.replace_workers()
        assert ask(server, HEALTH).status == 200
        assert server.stop() == 0
        ended = re.compile(rf"^{server.process.pid} +\+\+\+ exited", re.MULTILINE)
        eventually(lambda: ended.search(calls.read_text()))
    finally:
        server.kill()
    # ProtectSystem=strict with StateDirectory=, PrivateTmp=, PrivateDevices=
    writable = (str(server.store), tempfile.gettempdir(), "/tmp/", "/dev/null")
    assert {
        path for path in written_paths(calls.read_text()) if not path.startswith(writable)
    } == set()
    made = set(re.findall(r"^\d+ +(\w+)\(", calls.read_text(), re.MULTILINE))
    assert {"linkat", "fsync", "sendfile", "prlimit64"} & made
    assert made - allowed_calls(tool("systemd-analyze")) == set()


class ActivatedServer(LiveServer):
    """The service with a listener that somebody else keeps, as systemd does for a .socket unit."""

    def __init__(self, store: Path, listener: socket.socket) -> None:
        self._listener = listener
        super().__init__({"STORE_URL": str(store)})

    def launch(self) -> None:
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # LISTEN_PID is that of the process that exec makes the server.
        shell = 'exec 3<&"$1"; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        command = [sys.executable, "-m", "gunicorn"]
        descriptor = self._listener.fileno()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", shell, "bash", str(descriptor), *command],
                cwd=ROOT,
                # This address is another one: it is the socket that is served.
                env=self._environ | {"FILESERVICE_BIND": "127.0.0.1:1"},
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener


@pytest.mark.thorough
def test_requests_that_arrive_while_the_service_is_restarted_wait_for_it(
    listener: socket.socket, tmp_path: Path
) -> None:
    server = ActivatedServer(tmp_path / "store", listener)
    try:
        assert ask(server, request("PUT /upload/a.txt", body=TEXT)).status == 201
        assert server.stop() == 0
        with Wire(server) as wire:
            wire.send(request("GET /download/a.txt"))
            server.launch()
            assert wire.answer().body == TEXT
    finally:
        server.kill()


def test_unit_gives_transfers_their_grace_period() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)s$", SERVICE, re.MULTILINE)
    assert int(seconds) >= 30 + 10  # GRACE_PERIOD by default, and 10 s to clean up


def test_unit_and_socket_name_one_address() -> None:
    (bound,) = re.findall("^Environment=FILESERVICE_BIND=(.+)$", SERVICE, re.MULTILINE)
    text = (UNITS / "fileservice.socket").read_text()
    assert re.findall("^ListenStream=(.+)$", text, re.MULTILINE) == [bound]
