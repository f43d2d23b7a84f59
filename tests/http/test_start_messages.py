"""What the log says about strangers when the service starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.requirements import require
from tests.support.servers import ROOT, LiveServer
from tests.support.wire import eventually

Start = Callable[..., LiveServer]
WARNING = "WITHOUT CREDENTIALS"


def lines(server: LiveServer, text: str) -> list[str]:
    return [line for line in server.log().splitlines() if text in line]


@pytest.mark.parametrize(
    ("anonymous", "words"),
    [
        ("none", "do nothing"),
        ("read", "read"),
        ("list,read,write", "list, read and write"),
        pytest.param("write,list", "list and write", marks=pytest.mark.thorough),
    ],
)
def test_one_line_says_what_clients_without_credentials_may_do(
    start_server: Start, anonymous: str, words: str
) -> None:
    server = start_server(ANONYMOUS=anonymous, WORKERS="2")
    [line] = lines(server, "clients without credentials")
    assert line.endswith(f"[INFO] clients without credentials may {words}")
    assert lines(server, WARNING) == []  # it listens on loopback


@pytest.mark.parametrize(
    ("anonymous", "verbs"), [("list,read,write", "WRITE"), ("write,delete", "WRITE AND DELETE")]
)
def test_one_warning_says_so_if_strangers_on_other_machines_may_change_files(
    unreachable: list[str], tmp_path: Path, anonymous: str, verbs: str
) -> None:
    log = started(unreachable, tmp_path, ANONYMOUS=anonymous)
    [line] = [line for line in log.splitlines() if WARNING in line]
    assert f"[WARNING] ANYBODY WHO CAN REACH 0.0.0.0 PORT 8000 MAY {verbs} FILES" in line


def test_there_is_no_warning_if_strangers_may_only_read(
    unreachable: list[str], tmp_path: Path
) -> None:
    assert WARNING not in started(unreachable, tmp_path, ANONYMOUS="list,read")


def test_access_file_that_everybody_may_change_is_reported(
    unreachable: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "access.toml"
    path.write_text("")
    for mode, is_reported in ((0o644, False), (0o666, True)):
        path.chmod(mode)
        log = started(unreachable, tmp_path, ACCESS_FILE=str(path))
        assert ("every user of this machine may change it" in log) == is_reported


@pytest.fixture
def unreachable(root: None, tool: Callable[[str], str]) -> list[str]:
    """A command that runs another one in a network that no other machine can reach."""
    command = [tool("unshare"), "--net"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        require("unshare --net does not work here")
    return command


def started(command: list[str], directory: Path, **settings: str) -> str:
    """Start the service on all addresses with two workers, kill it, and return its log."""
    environ = {name: text for name, text in os.environ.items() if "FILESERVICE" not in name}
    settings = {"BIND": "0.0.0.0:8000", "STORE_URL": str(directory / "store"), **settings}
    environ |= {f"FILESERVICE_{name}": text for name, text in settings.items()}
    log = directory / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, sys.executable, "-m", "gunicorn", "--workers", "2"],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    try:
        eventually(lambda: log.read_text().count("Booting worker") == 2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    return log.read_text()
