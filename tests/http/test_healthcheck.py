"""The image's health check finds the service wherever it listens, and reports an unhealthy one."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.forked import ForkedProcess
from tests.support.ports import free_port
from tests.support.servers import ROOT
from tests.support.wire import eventually

CHECK = [sys.executable, "-m", "fileservice.healthcheck"]


class Service:
    """gunicorn with settings and a command line, in a directory for temporary files of its own."""

    def __init__(self, directory: Path, *arguments: str, **environ: str) -> None:
        self.temporary = directory / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.log = directory / "log"
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("FILESERVICE_")}
        self.environ = inherited | {
            "TMPDIR": str(self.temporary),
            "FILESERVICE_STORE_URL": str(directory / "store"),
            "FILESERVICE_WORKERS": "1",
            **environ,
        }
        self.process = ForkedProcess(arguments, ROOT, self.environ, self.log)

    def check(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            CHECK, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=60
        )

    def becomes_healthy(self) -> None:
        deadline = time.monotonic() + 60
        eventually(lambda: self.written() or self.process.poll() is not None, 60)
        while (done := self.check()).returncode:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, done.stderr + self.log.read_text()

    def written(self) -> list[Path]:
        return list(self.temporary.glob("fileservice-*"))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    started: list[Service] = []

    def start_it(*arguments: str, **environ: str) -> Service:
        started.append(Service(tmp_path, *arguments, **environ))
        return started[-1]

    yield start_it
    for service in started:
        service.kill()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::]",
        *(
            pytest.param(host, marks=pytest.mark.thorough)
            for host in ("0.0.0.0", "localhost", "[::1]")
        ),
    ],
)
def test_a_service_is_found_by_its_bind(start, host: str) -> None:
    port = free_port()
    service = start(FILESERVICE_BIND=f"{host}:{port}")
    service.becomes_healthy()
    [path] = service.written()
    assert path.stat().st_mode & 0o777 == 0o600
    service.process.terminate()
    assert service.process.wait(60) == 0
    assert service.written() == []
    assert service.check().returncode == 1
    assert service.check().stderr == "unhealthy: no service runs here, or it is not ready yet\n"


def test_a_service_is_found_by_a_unix_socket(start, tmp_path: Path) -> None:
    start(FILESERVICE_BIND=f"unix:{tmp_path}/socket").becomes_healthy()
    assert (tmp_path / "socket").is_socket()


def test_a_service_is_found_by_what_the_command_line_says(start) -> None:
    bound, named = free_port(), free_port()
    service = start("-b", f"127.0.0.1:{bound}", FILESERVICE_BIND=f"127.0.0.1:{named}")
    service.becomes_healthy()
    assert httpx.get(f"http://127.0.0.1:{bound}/healthz", timeout=60).status_code == 200


def test_a_service_over_tls_is_found(start, tool, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-subj", "/CN=files.example", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    start(
        FILESERVICE_BIND=f"127.0.0.1:{free_port()}",
        GUNICORN_CMD_ARGS=f"--certfile {certificate} --keyfile {key}",
    ).becomes_healthy()


def test_a_service_with_several_addresses_is_asked_at_all_of_them(start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    service = start("-b", f"127.0.0.1:{free_port()}", "-b", f"unix:{path}")
    service.becomes_healthy()
    path.unlink()
    done = service.check()
    assert done.returncode == 1
    assert done.stderr.startswith("unhealthy: ")


def test_a_service_without_its_store_is_unhealthy(start, tmp_path: Path) -> None:
    service = start(FILESERVICE_BIND=f"127.0.0.1:{free_port()}")
    service.becomes_healthy()
    (tmp_path / "store").rename(tmp_path / "gone")
    eventually(lambda: "503" in service.check().stderr)
    assert service.check().returncode


def test_a_killed_service_is_not_found(start) -> None:
    service = start(FILESERVICE_BIND=f"127.0.0.1:{free_port()}")
    service.becomes_healthy()
    service.kill()
    assert service.written()
    assert "no service runs here" in service.check().stderr
    start(FILESERVICE_BIND=f"127.0.0.1:{free_port()}").becomes_healthy()


def test_a_service_that_listens_elsewhere_after_a_reload_is_found(start, tmp_path: Path) -> None:
    configuration = tmp_path / "more.conf.py"

    def listen(port: int, comment: str) -> None:
        # The comments differ in length: Python takes a file that was changed within a second for
        # the one that it has compiled, if it is as long.
        lines = ["import runpy", "globals().update(runpy.run_path('gunicorn.conf.py'))", comment]
        configuration.write_text("\n".join([*lines, f"bind = '127.0.0.1:{port}'", ""]))

    first, second = free_port(), free_port()
    listen(first, "# here")
    service = start("-c", str(configuration))
    service.becomes_healthy()
    listen(second, "# elsewhere")
    service.process.send_signal(signal.SIGHUP)
    [path] = service.written()
    eventually(lambda: str(second) in path.read_text())
    service.becomes_healthy()
    assert httpx.get(f"http://127.0.0.1:{second}/healthz", timeout=60).status_code == 200
