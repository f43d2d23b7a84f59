"""Contender: a running server that is measured, and how servers are started and stopped."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import wire

ROOT = Path(__file__).parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """The contender is not installed; `str(error)` says what to install."""


@dataclass
class Contender:
    """A running server, which serves the directory `files` at `get` and stores uploads in it."""

    process: "subprocess.Popen[bytes]"
    port: int
    files: Path
    get: str = "/download/"
    put: str = "/upload/"
    form: str = "/upload"
    field: str = "file"
    tus: str = "/tus/"
    own_names: bool = False
    """Whether the server chooses the names of files, so that every file is an upload."""
    empty: Callable[[], None] | None = None
    """Removes the uploads of a server that does not keep them as files."""

    def cpu(self) -> float:
        """Return the seconds of CPU that its processes have used, as the kernel accounts them."""
        return cpu(self.process.pid)

    def memory(self) -> int:
        """Return the resident bytes of its processes; shared memory counts once for each."""
        total = 0
        for pid in family(self.process.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.partition("VmRSS:")[2].split()[0]) * 1024
        return total

    def offer(self, source: Path, name: str) -> None:
        """Let it serve a file, which is linked to and not copied where that is possible."""
        if self.empty:
            wire.put(self.port, f"{self.get}{name}", source)
        else:
            os.link(source, self.files / name)

    def clear(self) -> None:
        """Remove the files that were uploaded to it."""
        if self.empty:
            self.empty()
            return
        for entry in os.scandir(self.files):
            if entry.is_file() and (self.own_names or entry.name.startswith("put-")):
                Path(entry.path).unlink()


Opener = Callable[[], contextlib.AbstractContextManager[Contender]]
"""Starts a contender, for the length of a block. Raises Missing."""


def cpu(root: int) -> float:
    """Return the seconds of CPU that a process and its descendants have used.

    The kernel counts nanoseconds for each thread that runs, and steps of 10 ms for a process, which
    include the threads that have ended.
    """
    return sum(max(_cpu_of_process(pid), _cpu_of_threads(pid)) for pid in family(root))


def _cpu_of_process(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _cpu_of_threads(pid: int) -> float:
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def family(root: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    pids, new = [], [root]
    while new:
        pids += new
        new = [child for pid in new for child in _children(pid)]
    return pids


def _children(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children += [int(child) for child in (task / "children").read_text().split()]
    return children


@contextlib.contextmanager
def fileservice(
    base: Path, *, workers: int = 1, stock: bool = False, tree: Path = ROOT, **settings: str
) -> Iterator[Contender]:
    """Run this service, or that of another `tree`; with `stock`, on gunicorn's own gevent worker.

    Everybody may do everything, and nobody is limited.
    """
    port, files = free_port(), directory(base, "ours")
    values = {
        "BIND": f"127.0.0.1:{port}",
        "STORE_URL": str(files),
        "WORKERS": str(workers),
        "ANONYMOUS": "list,read,write,delete",
    } | settings
    variables = {f"FILESERVICE_{name}": value for name, value in values.items()}
    command = [sys.executable, "-m", "gunicorn", "--log-level", "warning"]
    command += ["--worker-class", "gevent"] if stock else []
    with running(command, port, variables, cwd=tree) as process:
        yield Contender(process, port, files)


@contextlib.contextmanager
def bare_loop(base: Path, *, digest: str = "none", fsync: bool = False) -> Iterator[Contender]:
    """Run the loop of bare system calls that is the limit; `digest` is none, same or thread."""
    port, files = free_port(), directory(base, "limit")
    command = [sys.executable, str(Path(__file__).with_name("limit.py")), "--port", str(port)]
    command += ["--dir", str(files), "--digest", digest] + ([] if fsync else ["--no-fsync"])
    with running(command, port) as process:
        yield Contender(process, port, files, get="/", put="/")


def directory(base: Path, name: str) -> Path:
    """Return a new directory, which servers that change their user may enter and write to."""
    path = Path(tempfile.mkdtemp(dir=base, prefix=f"{name}-"))
    path.chmod(0o777)
    return path


def program(name: str, package: str) -> str:
    """Return the path of a program. Raises Missing."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"{name} ({package})")
    return path


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: list[str],
    port: int,
    variables: Mapping[str, str] = {},  # is not modified
    cwd: Path = ROOT,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server for the length of a block, which begins when it listens on `port`."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,  # lighttpd with workers ends its whole process group
        )
        try:
            for _ in range(1200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"{command} did not start:\n{log.read().decode()}")
                time.sleep(0.05)
            time.sleep(0.5)  # the socket listens before the workers start, which costs CPU
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
