"""Service: a server with two workers, which are replaced while it serves."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Service:
    """The server, whose process changes when the program is replaced.

    Its store, its pid file and its log are in `directory`; `settings` are named without their
    prefix.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.store = directory / "store"
        self._pid_file = directory / "pid"
        defaults = {
            "BIND": f"127.0.0.1:{port}",
            "STORE_URL": str(self.store),
            "WORKERS": "2",
            "ANONYMOUS": "list,read,write,delete",
        }
        variables = {f"FILESERVICE_{name}": text for name, text in (defaults | settings).items()}
        self._log = (directory / "log").open("ab")
        self._first = subprocess.Popen(
            [str(Path(sys.executable).with_name("gunicorn")), "--pid", str(self._pid_file)],
            cwd=ROOT,
            env=os.environ | variables,
            stdout=self._log,
            stderr=self._log,
        )
        _wait_until(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/healthz", timeout=5):
            return True
        return False

    @property
    def pid(self) -> int:
        return int(self._pid_file.read_text())

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def reload(self) -> None:
        old = set(self.workers())
        os.kill(self.pid, signal.SIGHUP)
        _wait_until(lambda: len(self.workers()) == 2 and not old & set(self.workers()))

    def kill_worker(self) -> None:
        old = self.workers()
        os.kill(old[0], signal.SIGKILL)
        _wait_until(lambda: len(self.workers()) == 2 and old[0] not in self.workers())

    def replace_program(self) -> None:
        old = self.pid
        os.kill(old, signal.SIGUSR2)
        second = self._pid_file.with_name(f"{self._pid_file.name}.2")
        _wait_until(second.exists)
        new = int(second.read_text())
        children = Path(f"/proc/{new}/task/{new}/children")
        _wait_until(lambda: len(children.read_text().split()) == 2)
        time.sleep(2)  # as an operator, who looks at the log before the old program is ended
        os.kill(old, signal.SIGTERM)
        _wait_until(lambda: self.pid == new and not _runs(old))

    def stop(self) -> None:
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        self._first.poll()
        _wait_until(lambda: not _runs(pid) or self._first.poll() is not None)
        self._log.close()


def _runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            if holds():
                return
        if time.monotonic() > deadline:
            sys.exit("the server did not do within 120 s what it was told")
        time.sleep(0.1)
