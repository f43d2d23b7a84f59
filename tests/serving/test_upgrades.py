"""Upgrades by SIGHUP and SIGUSR2 under load, and workers that hang."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.servers import ConfiguredServer, Traffic
from tests.support.tus import Tus
from tests.support.wire import Wire, ask, eventually, request

LINE = b"a line of text that fills the file\n"
DATA = LINE * 100_000
PROBE = request("GET /healthz")
LOAD_SECONDS = 10


class UpgradableServer(ConfiguredServer):
    """A server that another program can replace (SIGUSR2), which its pid file tells."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.pid_file = directory / "pid"
        self.pids: list[int] = []
        super().__init__(
            {"STORE_URL": str(directory / "store"), "WORKERS": "2", **settings},
            f"pidfile = {str(self.pid_file)!r}",
            command=["env"],  # so that its process is not forked from one of the tests
        )

    def launch(self) -> None:
        # gunicorn itself leaves copies of the sockets that it inherits to the garbage collector.
        self._environ.pop("PYTHONWARNINGS", None)
        super().launch()

    def replace_program(self) -> None:
        """Start the program anew, wait for its workers, and end the old one."""
        old = int(self.pid_file.read_text())
        new = self.start_another()
        eventually(lambda: len(children(new)) == 2)
        os.kill(old, signal.SIGTERM)

    def start_another(self) -> int:
        """Start the program anew beside the one that runs; return its process id."""
        os.kill(int(self.pid_file.read_text()), signal.SIGUSR2)
        second = self.pid_file.with_name("pid.2")
        eventually(lambda: second.exists() and second.read_text().strip())
        self.pids.append(int(second.read_text()))
        return self.pids[-1]

    def kill(self) -> None:
        super().kill()
        for pid in self.pids:
            # It is in the session of the first one, which is dead.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., UpgradableServer]]:
    servers: list[UpgradableServer] = []

    def start(**settings: str) -> UpgradableServer:
        servers.append(UpgradableServer(tmp_path, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def reload(server: UpgradableServer) -> None:
    old = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(set(server.workers()) - old) == 2)


@pytest.mark.thorough
@pytest.mark.parametrize("upgrade", [reload, UpgradableServer.replace_program])
def test_an_upgrade_under_load_loses_no_request_and_longer_transfers_resume(
    start: Callable[..., UpgradableServer], upgrade: Callable[[UpgradableServer], None]
) -> None:
    # The short transfer ends within this time, and the long one must not be cut before.
    server = start(GRACE_PERIOD="12s", IDLE_TIMEOUT="200s")
    with server.client() as client, Traffic(server) as traffic, Wire(server) as long:
        tus = Tus(client)
        upload = tus.begin("long.txt", len(DATA))
        path = upload.removeprefix(server.url)
        fields = ["Tus-Resumable: 1.0.0", "Upload-Offset: 0"]
        fields += ["Content-Type: application/offset+octet-stream"]
        head = request(f"PATCH {path}", *fields, f"Content-Length: {len(DATA)}")
        long.send(head + DATA[:1_000_000])
        with Wire(server) as short:
            short.send(request("PUT /upload/short.txt", f"Content-Length: {len(DATA)}"))
            short.send(DATA[:-1])
            eventually(server.staged)
            began = time.monotonic()
            upgrade(server)
            short.send(DATA[-1:])
            assert short.answer().status == 201
        assert long.ended()  # by the grace period
        offset = tus.offset(upload)
        assert 0 < offset <= 1_000_000
        assert tus.patch(upload, offset, DATA[offset:]).status_code == 204
        done = traffic.done
        eventually(lambda: traffic.done > done + 100)
        eventually(lambda: time.monotonic() > began + LOAD_SECONDS)
    assert traffic.failures == []
    assert ask(server, request("GET /download/long.txt")).body == DATA
    assert "Traceback" not in server.log()


@pytest.mark.thorough
def test_workers_of_a_replaced_program_do_not_report_that_the_service_stops(
    start: Callable[..., UpgradableServer],
) -> None:
    server = start(DRAIN_DELAY="60s")
    server.replace_program()
    # None of them drains for a minute, in which it would answer some of the health checks.
    eventually(lambda: server.process.poll() is not None)
    for _ in range(20):
        assert ask(server, PROBE).status == 200


@pytest.mark.thorough
def test_a_program_that_cannot_start_leaves_the_old_one_serving(
    start: Callable[..., UpgradableServer], tmp_path: Path
) -> None:
    access_file = tmp_path / "access.toml"
    access_file.write_text("")
    server = start(ACCESS_FILE=str(access_file))
    access_file.write_text("[tokens.a]\nhash = 1\n")
    os.kill(server.process.pid, signal.SIGUSR2)
    eventually(lambda: "ACCESS_FILE" in server.log())
    eventually(lambda: len(children(server.process.pid)) == 2)  # and not the other program
    assert ask(server, request("PUT /upload/a.txt", body=LINE)).status == 201


def test_a_worker_that_hangs_is_replaced_and_what_it_held_is_free(tmp_path: Path) -> None:
    server = ConfiguredServer(
        {"STORE_URL": str(tmp_path / "store"), "MAX_UPLOADS": "2"}, "timeout = 10"
    )
    try:
        with server.client() as client, Wire(server) as plain, Wire(server) as resumed:
            tus = Tus(client)
            upload = tus.begin("resumed.txt", len(DATA))
            plain.send(request("PUT /upload/plain.txt", f"Content-Length: {len(DATA)}") + LINE)
            fields = ["Tus-Resumable: 1.0.0", "Upload-Offset: 0"]
            fields += ["Content-Type: application/offset+octet-stream"]
            path = upload.removeprefix(server.url)
            head = request(f"PATCH {path}", *fields, f"Content-Length: {len(DATA)}")
            resumed.send(head + LINE)
            eventually(server.staged)
            busy = request("PUT /upload/third.txt", body=LINE)
            eventually(lambda: ask(server, busy).status == 503)  # both take a place
            (hanging,) = server.workers()
            os.kill(hanging, signal.SIGSTOP)
            eventually(lambda: server.workers() and hanging not in server.workers())
        eventually(lambda: server.staged() == [])
        with server.client() as client:
            tus = Tus(client)
            offset = tus.offset(upload)
            assert tus.patch(upload, offset, DATA[offset:]).status_code == 204
        with Wire(server) as first, Wire(server) as second:
            for number, wire in enumerate((first, second)):
                wire.send(request(f"PUT /upload/{number}.txt", f"Content-Length: {len(DATA)}"))
                wire.send(DATA)
                assert wire.answer().status == 201
        assert ask(server, request("GET /download/resumed.txt")).body == DATA
        assert "WORKER TIMEOUT" in server.log()
    finally:
        server.kill()
