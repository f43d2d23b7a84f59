"""LiveServer: the service under gunicorn, as an operator starts it."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from tests.support.forked import ForkedProcess
from tests.support.ports import free_port
from tests.support.seaweed import BucketPath, SeaweedClient

ROOT = Path(__file__).parents[2]
DEFAULTS = {
    "ALLOWED_HOSTS": "*",
    "ANONYMOUS": "list,read,write,delete",
    "AUTH_FAILURE_LIMIT": "none",
    "REQUEST_LOG": "none",
    "WORKERS": "1",
}
"""Settings of every server for which a test gives no others."""
_START_SECONDS = 60
_STOP_SECONDS = 60


class LiveServer:
    """A running server; `settings` are its variables without their prefix."""

    process: ForkedProcess | subprocess.Popen[bytes]
    arguments: Sequence[str] = ()
    """Those of gunicorn's command."""

    def __init__(self, settings: Mapping[str, str], *command: str) -> None:
        """Start it. A `command`, such as strace, is called with the command of the server."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.store_url = settings["STORE_URL"]
        self.store = Path(self.store_url)
        self.log_path = self._log_path()
        self._environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FILESERVICE_", "GUNICORN_"))
        } | {f"FILESERVICE_{name}": value for name, value in (DEFAULTS | dict(settings)).items()}
        self._environ["FILESERVICE_BIND"] = f"127.0.0.1:{self.port}"
        self._environ["PYTHONWARNINGS"] = "error::ResourceWarning"
        self._command = command
        self.start()

    def _log_path(self) -> Path:
        return self.store.with_name(f"{self.store.name}-{self.port}.log")

    def start(self) -> None:
        """Start it (again), and wait until it answers, whether its store is healthy or not."""
        self.launch()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                with contextlib.closing(self._http_connection()) as connection:
                    connection.request("GET", "/healthz")
                    connection.getresponse().read()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{self.log()}")
            time.sleep(0.05)

    def _http_connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def launch(self) -> None:
        """Start its process."""
        if not self._command:
            self.process = ForkedProcess(self.arguments, ROOT, self._environ, self.log_path)
            return
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, sys.executable, "-m", "gunicorn", *self.arguments],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Stop it as an operator does (SIGTERM), and return the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the server and all its workers with SIGKILL."""
        self.process.kill()  # also if it has not yet begun a session
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_STOP_SECONDS)

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def replace_workers(self) -> None:
        """Reload it (SIGHUP), and wait until all workers are new."""
        old = set(self.workers())
        self.process.send_signal(signal.SIGHUP)
        self._await_workers(old)

    def kill_workers(self) -> None:
        """Kill the workers with SIGKILL, and wait until there are others."""
        old = set(self.workers())
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        self._await_workers(old)

    def _await_workers(self, old: set[int]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while old & set(self.workers()) or not self.workers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"there are no new workers:\n{self.log()}")
            time.sleep(0.02)

    def log(self) -> str:
        """All that the server has logged so far."""
        return self.log_path.read_text(errors="replace")

    def staged(self) -> list[Path]:
        """The staged files."""
        return list((self.store / ".fileservice" / "staging").iterdir())

    def keeps_bytes_of(self, upload: str) -> bool:
        """Whether the store has the bytes of this unfinished upload."""
        return (self.store / ".fileservice/uploads" / upload).exists()

    def published(self) -> list[str]:
        """The names in the store, from the directory itself."""
        return sorted(path.name for path in self.store.iterdir() if path.name != ".fileservice")

    def clear(self) -> None:
        """Remove every published file."""
        for name in self.published():
            (self.store / name).unlink(missing_ok=True)  # the server may remove what has expired

    def connect(self) -> socket.socket:
        """A raw connection to the server."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """An HTTP client whose base is this server."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            yield client


class S3LiveServer(LiveServer):
    """The service over a bucket; `store` and the methods about files look into the bucket."""

    def __init__(
        self, seaweed: SeaweedClient, prefix: str, directory: Path, settings: Mapping[str, str]
    ) -> None:
        self.seaweed = seaweed
        self.prefix = prefix
        self._directory = directory
        super().__init__({"STORE_URL": seaweed.url(prefix)} | settings)
        self.store = BucketPath(seaweed, prefix)  # type: ignore[assignment]

    def _log_path(self) -> Path:
        return self._directory / f"{self.prefix}-{self.port}.log"

    def staged(self) -> list[Path]:
        keys = self.seaweed.keys(f"{self.prefix}/.fileservice/staging")
        return [Path(key) for key in keys + self.seaweed.unfinished(self.prefix)]

    def published(self) -> list[str]:
        return sorted(
            key for key in self.seaweed.keys(self.prefix) if not key.startswith(".fileservice/")
        )

    def keeps_bytes_of(self, upload: str) -> bool:
        keys = self.seaweed.keys(f"{self.prefix}/.fileservice/uploads/{upload}")
        return any(key != "record" for key in keys)

    def clear(self) -> None:
        # Each worker remembers this key, so they would have different ones.
        self.seaweed.clear(self.prefix, keep=".fileservice/secret-key")
