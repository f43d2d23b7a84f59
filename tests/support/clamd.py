"""Debian's clamd with a database of our own, and servers that answer as no clamd should."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from tests.support.ports import free_port
from tests.support.requirements import require
from tests.support.wire import eventually

# The test file of EICAR (European Institute for Computer Anti-Virus Research), in pieces, so that
# no scanner finds it here.
EICAR = b"".join((b"X5O!P%@AP[4", b"\\PZX54(P^)7CC)7}", b"$EICAR-STANDARD-", b"ANTIVIRUS-TEST-", b"FILE!$H+H*"))  # fmt: skip # noqa: E501
SIGNATURE = "Test.Eicar.UNOFFICIAL"
"""What clamd calls it. It adds the last word to the names in databases that are not ClamAV's."""


class ClamdServer:
    """clamd on a TCP port and a Unix socket of its own, which knows the file of EICAR alone."""

    def __init__(self, directory: Path, *, max_stream: str = "50M") -> None:
        program = shutil.which("clamd", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            require("clamd is not installed (Debian's clamav-daemon)")
        assert program
        directory.mkdir(exist_ok=True)
        (directory / "database").mkdir(exist_ok=True)
        (directory / "database/own.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
        self.port = free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.socket_path = directory / "clamd.ctl"
        self.socket_url = f"unix:{self.socket_path}"
        self._log = directory / "clamd.log"
        configuration = directory / "clamd.conf"
        configuration.write_text(
            f"Foreground yes\nTCPSocket {self.port}\nTCPAddr 127.0.0.1\n"
            f"LocalSocket {self.socket_path}\nDatabaseDirectory {directory}/database\n"
            f"TemporaryDirectory {directory}\nStreamMaxLength {max_stream}\nMaxThreads 4\n"
        )
        self._command = [program, "--config-file", str(configuration)]
        self.start()

    def start(self) -> None:
        """Start it (again), and wait until it answers."""
        self.socket_path.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually(self._answers, 60)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 5) as connection,
        ):
            connection.sendall(b"zPING\0")
            return connection.recv(100) == b"PONG\0"
        return False

    def stop(self) -> None:
        """End it, so that connections to it are refused."""
        self._process.kill()
        self._process.wait()

    def suspend(self) -> None:
        """Let it accept connections, and answer nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `suspend`."""
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


@contextlib.contextmanager
def false_clamd(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections with `answer`; return the URL."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_stream(connection: socket.socket) -> bytes:
    """Read a command, and the stream that follows INSTREAM; return the bytes of the stream.

    Raises ConnectionError if the client ends first, as one that is killed does.
    """

    def exactly(count: int) -> bytes:
        read = incoming.read(count)
        if len(read) < count:
            raise ConnectionError("the client has ended")
        return read

    with connection.makefile("rb") as incoming:
        command = b""
        while not command.endswith(b"\0"):
            command += exactly(1)
        data = bytearray()
        while command == b"zINSTREAM\0":
            (count,) = struct.unpack(">I", exactly(4))
            if not count:
                break
            data += exactly(count)
        return bytes(data)
