"""The cluster of docker-compose.cluster.yml as processes on this machine: `make cluster`.

It runs nginx, three replicas and SeaweedFS on free ports of 127.0.0.1, and all of them end with
this process.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.ports import free_port  # noqa: E402  # the tests' own
from tests.support.seaweed import CREDENTIALS, Seaweed  # noqa: E402

_REPLICAS = 3
_PREFIX = "store"
_START_SECONDS = 60


class Replica:
    """A gunicorn with its workers, which can be killed and started again."""

    def __init__(self, store_url: str, log: Path, port: int, workers: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("FILESERVICE_")}
        self._environ = inherited | CREDENTIALS | {
            "FILESERVICE_STORE_URL": store_url,
            "FILESERVICE_BIND": f"127.0.0.1:{port}",
            "FILESERVICE_ALLOWED_HOSTS": "*",
            "FILESERVICE_WORKERS": str(workers),
            "FILESERVICE_TRUSTED_PROXIES": "127.0.0.1",
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn"],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of its master process."""
        assert self._process
        return self._process.pid

    def wait(self) -> None:
        """Return when it answers. Raises RuntimeError if it does not start."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.url}/healthz", timeout=5),
            ):
                return
            assert self._process
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a replica did not start:\n{self._log.read_text()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill all its processes together, as kill -9 does."""
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop it with SIGTERM, as an operator does."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)


class Cluster:
    """The parts of a running cluster. Clients use `url`; `nginx` is the id of its process."""

    def __init__(self, url: str, nginx: int, replicas: list[Replica], seaweed: Seaweed) -> None:
        self.url = url
        self.nginx = nginx
        self.replicas = replicas
        self.seaweed = seaweed


@contextlib.contextmanager
def running(directory: Path, *, replicas: int = _REPLICAS, workers: int = 1) -> Iterator[Cluster]:
    """Run a cluster for the length of a block, with all of its files in `directory`."""
    with contextlib.ExitStack() as stack:
        seaweed = Seaweed(directory / "seaweedfs", volumes=100, volume_mib=256)
        stack.callback(seaweed.stop)
        port, *ports = [free_port() for _ in range(1 + replicas)]
        members = [
            Replica(seaweed.url(_PREFIX), directory / f"replica-{n}.log", n, workers) for n in ports
        ]
        for replica in members:
            stack.callback(replica.stop)
            replica.start()
        for replica in members:
            replica.wait()
        nginx = stack.enter_context(proxy(directory, port, ports))
        yield Cluster(f"http://127.0.0.1:{port}", nginx, members, seaweed)


@contextlib.contextmanager
def proxy(directory: Path, port: int, replicas: list[int]) -> Iterator[int]:
    """Run nginx with the configuration of the containers, except for addresses and paths.

    Yields the id of its process.
    """
    text = (Path(__file__).parent / "nginx.conf").read_text()
    (template,) = [line for line in text.splitlines() if "server fileservice:8000" in line]
    servers = [
        template.replace("fileservice:8000 resolve", f"127.0.0.1:{replica}") for replica in replicas
    ]
    text = text.replace(template, "\n".join(servers))
    with nginx(directory, port, text.replace("listen 8000;", f"listen 127.0.0.1:{port};")) as pid:
        yield pid


@contextlib.contextmanager
def nginx(directory: Path, port: int, text: str) -> Iterator[int]:
    """Run nginx with this configuration, which must make it listen on `port`.

    Its files are in `directory`. Yields the id of its process.
    """
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        raise FileNotFoundError("nginx (Debian's nginx-light or nginx)")
    temporary = "".join(
        f"    {kind}_temp_path {directory}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {\n", f"http {{\n    access_log off;\n{temporary}", 1)
    user = "user root;\n" if os.geteuid() == 0 else ""
    own = f"{user}daemon off;\npid {directory}/nginx.pid;\nerror_log {directory}/nginx.log;\n"
    configuration = directory / "nginx.conf"
    configuration.write_text(own + text)
    with subprocess.Popen(
        [binary, "-c", str(configuration), "-e", str(directory / "nginx.log")],
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for_port(port, process)
            yield process.pid
        finally:
            process.terminate()


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        if process.poll() is not None:
            raise RuntimeError("nginx did not start")
        time.sleep(0.05)


def main() -> None:
    """Run a cluster until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicas", type=int, default=_REPLICAS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="fileservice-cluster-") as directory,
        contextlib.suppress(KeyboardInterrupt),
        running(Path(directory), replicas=arguments.replicas) as cluster,
    ):
        print(f"{cluster.url}  nginx in front of")
        for replica in cluster.replicas:
            print(f"{replica.url}  a replica")
        print(f"{cluster.seaweed.endpoint}  SeaweedFS; Ctrl-C ends all, and removes {directory}")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
