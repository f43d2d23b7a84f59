"""A real Redis server."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.support.ports import free_port
from tests.support.requirements import require
from tests.support.wire import eventually

PASSWORD = "hunter2-of-redis"


class RedisServer:
    """Debian's redis-server with a password, which keeps nothing on the disk."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            require("redis-server is not installed")
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._log = directory / f"redis-{self.port}.log"
        self._command = [
            *(program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""),
            *("--appendonly", "no", "--requirepass", PASSWORD, "--dir", str(directory)),
        ]
        self.start()

    def patient_url(self, seconds: int = 60) -> str:
        """Return a URL that has the service wait so long, instead of a fraction of a second."""
        waits = ("timeout", "socket_timeout", "socket_connect_timeout")
        return f"{self.url}?" + "&".join(f"{wait}={seconds}" for wait in waits)

    def start(self) -> None:
        """Start it (again), and wait until it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually(self._is_listening)

    def stop(self) -> None:
        """End it, so that connections to it are refused."""
        self._process.kill()
        self._process.wait()

    def suspend(self) -> None:
        """Let it accept connections and answer nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def _is_listening(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
