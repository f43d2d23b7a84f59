"""The servers that are measured against each other, each started as its own manual says."""

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
    """The contender is not installed; ``str(error)`` says what to install."""


@dataclass
class Contender:
    """A running server: `files` is the directory it serves under `get`, and takes under `put`."""

    process: "subprocess.Popen[bytes]"
    port: int
    files: Path
    get: str = "/download/"
    put: str = "/upload/"
    form: str = "/upload"
    field: str = "file"
    tus: str = "/tus/"
    own_names: bool = False
    """Whether it names files as it likes, so that all are taken ones."""

    def cpu(self) -> float:
        """Seconds of processor time that its processes have used, by the kernel's accounts."""
        return cpu(self.process.pid)

    def memory(self) -> int:
        """Resident bytes of its processes, the shared ones counted in each."""
        total = 0
        for pid in family(self.process.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.partition("VmRSS:")[2].split()[0]) * 1024
        return total

    def clear(self) -> None:
        """Remove the files it has taken."""
        for path in self.files.iterdir():
            if path.is_file() and (self.own_names or path.name.startswith("put-")):
                path.unlink()


def cpu(root: int) -> float:
    """Seconds of processor time of a process and those below it, as the kernel counts."""
    ticks = 0
    for pid in family(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def family(root: int) -> list[int]:
    """A process, those it has started, and so on."""
    found, new = [], [root]
    while new:
        found += new
        new = [child for pid in new for child in _children(pid)]
    return found


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
    """Our own service; `stock` puts the application on gunicorn's own gevent worker."""
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
    """GET by sendfile, PUT by the dav module, as in its documentation; no access log."""
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
    """With everybody allowed to read and write, and no log of requests."""
    _require_module("copyparty")
    port, files = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="copyparty-"))
    command = [sys.executable, "-m", "copyparty", "-q", "-i", "127.0.0.1", "-p", str(port)]
    command += ["-j", str(workers), "-v", f"{files}::rw:c,wram"]  # wram: also where it is memory
    with _running(command, port, {"HOME": str(files)}) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def uploadserver(base: Path) -> Iterator[Contender]:
    """One process; forms only."""
    _require_module("uploadserver")
    port, files = _free_port(), Path(tempfile.mkdtemp(dir=base, prefix="uploadserver-"))
    command = [sys.executable, "-m", "uploadserver", str(port), "-b", "127.0.0.1"]
    with _running([*command, "-d", str(files)], port) as process:
        yield Contender(process, port, files, get="/", put="", field="files")


@contextlib.contextmanager
def tus_server(base: Path) -> Iterator[Contender]:
    """@tus/server with its own file store, as its documentation starts it; one process."""
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
    variables: Mapping[str, str] = {},  # never changed
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
            time.sleep(0.5)  # workers start after the socket listens, and start-up costs CPU
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
