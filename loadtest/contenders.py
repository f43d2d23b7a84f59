"""The servers that are compared, each started as its documentation recommends."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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

    def clear(self) -> None:
        """Remove the files that were uploaded to it."""
        for path in self.files.iterdir():
            if path.is_file() and (self.own_names or path.name.startswith("put-")):
                path.unlink()


def cpu(root: int) -> float:
    """Return the seconds of CPU that a process and its descendants have used."""
    ticks = 0
    for pid in family(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


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
        with contextlib.suppress(FileNotFoundError):
            children += [int(child) for child in (task / "children").read_text().split()]
    return children


@contextlib.contextmanager
def fileservice(
    base: Path, *, workers: int = 1, stock: bool = False, **settings: str
) -> Iterator[Contender]:
    """Run this service; with `stock`, on gunicorn's own gevent worker."""
    port, files = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="ours-"))
    variables = {
        "FILESERVICE_BIND": f"127.0.0.1:{port}",
        "FILESERVICE_STORE_URL": str(files),
        "FILESERVICE_WORKERS": str(workers),
    } | {f"FILESERVICE_{key}": value for key, value in settings.items()}
    command = [sys.executable, "-m", "gunicorn", "--log-level", "warning"]
    command += ["--worker-class", "gevent"] if stock else []
    with _running(command, port, variables) as process:
        yield Contender(process, port, files)


@contextlib.contextmanager
def nginx(base: Path, *, workers: int = 1) -> Iterator[Contender]:
    """Run nginx: GET by sendfile, PUT by its dav module, and no access log."""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        raise Missing("nginx (Debian's nginx-light or nginx)")
    port, home = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="nginx-"))
    files = home / "files"
    files.mkdir()
    home.chmod(0o755)
    user = "user root;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(f"""
{user}
daemon off; worker_processes {workers}; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_max_body_size 0; client_body_temp_path {home}/body;
    proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
    scgi_temp_path {home}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {files}; dav_methods PUT DELETE; }}
    }}
}}
""")
    with _running([binary, "-c", str(home / "nginx.conf"), "-e", str(home / "e")], port) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def copyparty(base: Path, *, workers: int = 1) -> Iterator[Contender]:
    """Run copyparty: everybody may read and write, and requests are not logged."""
    _require_module("copyparty")
    port, files = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="copyparty-"))
    command = [sys.executable, "-m", "copyparty", "-q", "-i", "127.0.0.1", "-p", str(port)]
    command += ["-j", str(workers), "-v", f"{files}::rw:c,wram"]  # wram: allow uploads to a tmpfs
    with _running(command, port, {"HOME": str(files)}) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def uploadserver(base: Path) -> Iterator[Contender]:
    """Run uploadserver: one process, and uploads by form only."""
    _require_module("uploadserver")
    port, files = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="uploadserver-"))
    command = [sys.executable, "-m", "uploadserver", str(port), "-b", "127.0.0.1"]
    with _running([*command, "-d", str(files)], port) as process:
        yield Contender(process, port, files, get="/", put="", field="files")


@contextlib.contextmanager
def tus_server(base: Path) -> Iterator[Contender]:
    """Run @tus/server with its own file store: one process."""
    modules = Path(sys.prefix) / "node"
    if not shutil.which("node") or not (modules / "node_modules/@tus/server").exists():
        raise Missing(f"@tus/server (npm install --prefix {modules.name} @tus/server)")
    port, files = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="tus-server-"))
    script = f"""
        import {{ Server }} from "@tus/server";
        import {{ FileStore }} from "@tus/file-store";
        const datastore = new FileStore({{ directory: {str(files)!r} }});
        new Server({{ path: "/files", datastore }}).listen({{ host: "127.0.0.1", port: {port} }});
    """
    command = ["node", "--input-type=module", "--eval", script]
    with _running(command, port, cwd=modules) as process:
        yield Contender(process, port, files, tus="/files", own_names=True)


def _require_module(name: str) -> None:
    if subprocess.call([sys.executable, "-c", f"import {name}"], stderr=subprocess.DEVNULL):
        raise Missing(f"{name} (pip install {name})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(
    command: list[str],
    port: int,
    variables: Mapping[str, str] = {},  # is not modified
    cwd: Path = ROOT,
) -> Iterator["subprocess.Popen[bytes]"]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=os.environ | variables, stdout=log, stderr=log
        )
        try:
            for _ in range(400):
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
