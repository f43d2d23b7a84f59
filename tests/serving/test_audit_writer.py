"""The audit log, when what it is written to takes nothing."""

import fcntl
import json
import logging
import os
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import get_hub

from fileservice.serving.audit_writer import AuditWriter
from tests.serving.servers import ConfiguredServer, receives_nothing
from tests.support.access import EditedAccessFile
from tests.support.wire import Answer, Wire, ask, eventually, request

TEXT = b"some text\n"
DOWNLOAD = request("GET /download/a.txt")
WRONG_TOKEN = "Authorization: Bearer fs_" + "w" * 43


class AuditedServer(ConfiguredServer):
    """A server whose audit log is a pipe; nobody reads it before `read_on`."""

    def __init__(self, directory: Path, seconds: float) -> None:
        pipe = directory / "audit"
        os.mkfifo(pipe)
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._received = bytearray()
        access = EditedAccessFile(directory / "access.toml")
        self.token = access.set("ci", "read,share")
        super().__init__(
            {
                "STORE_URL": str(directory / "store"),
                "AUDIT_LOG": str(pipe),
                "ACCESS_FILE": str(access.path),
            },
            f"Log.audit_seconds = {seconds}",
        )
        self.put("a.txt", TEXT)

    def fill_pipe(self) -> None:
        """Write empty lines to the pipe until it takes no more."""
        for size in (4096, 1):
            try:
                while True:
                    os.write(self._pipe, b"\n" * size)
            except BlockingIOError:
                pass

    def read_on(self) -> None:
        """Read the pipe from now on."""
        self._reader.start()

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                self._received += os.read(self._pipe, 65536)
            except BlockingIOError:
                self._over.wait(0.01)

    def audited(self) -> list[str]:
        """The ids of the requests that the audit log tells of, as far as it was read."""
        lines = bytes(self._received).split(b"\n")[:-1]
        return [json.loads(line)["request-id"] for line in lines if line]

    def end(self) -> None:
        self.kill()
        self._over.set()
        if self._reader.ident:
            self._reader.join()
        os.close(self._pipe)


Start = Callable[[float], AuditedServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers = []

    def start(seconds: float) -> AuditedServer:
        servers.append(AuditedServer(tmp_path, seconds))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def id_of(answer: Answer) -> str:
    return str(answer.headers["X-Request-Id"])


def assert_refused(answer: Answer) -> None:
    assert (answer.status, answer.code()) == (503, "audit-unavailable")
    assert answer.headers["Retry-After"] == "10"


def test_nothing_is_done_unaudited_while_nobody_reads_the_audit_log(start: Start) -> None:
    server = start(3)  # in which a line is written while somebody reads
    done = [ask(server, request("PUT /upload/b.txt", body=TEXT)), ask(server, DOWNLOAD)]
    with Wire(server) as upload:
        upload.send(request("PUT /upload/c.txt", f"Content-Length: {2 * len(TEXT)}") + TEXT)
        eventually(server.staged)
        server.fill_pipe()
        assert_refused(ask(server, DOWNLOAD))
        for refused in (
            DOWNLOAD,
            request("PUT /upload/d.txt", body=TEXT),
            request("DELETE /download/a.txt"),
            request("GET /archive.zip?name=a.txt"),
            request("GET /download", WRONG_TOKEN),
        ):
            assert_refused(ask(server, refused))
        upload.send(TEXT)
        assert_refused(upload.answer())
    assert server.published() == ["a.txt", "b.txt"]
    for served in ("GET /download", "HEAD /download/a.txt", "GET /livez", "GET /healthz"):
        assert ask(server, request(served)).status == 200
    assert ask(server, request("GET /readyz")).code() == "not-ready"
    server.read_on()
    eventually(lambda: ask(server, request("GET /readyz")).status == 200)
    done.append(ask(server, DOWNLOAD))
    eventually(lambda: id_of(done[-1]) in server.audited())
    assert [answer.status for answer in done] == [201, 200, 200]
    ids = [id_of(answer) for answer in done]
    assert [audited for audited in server.audited() if audited in ids] == ids


def test_a_request_waits_for_the_audit_log_and_holds_up_no_other(start: Start) -> None:
    server = start(60)
    server.fill_pipe()
    with Wire(server) as waiting, Wire(server) as other:
        waiting.send(DOWNLOAD)
        assert receives_nothing(waiting)
        assert other.ask(request("GET /livez")).status == 200
        server.read_on()
        answer = waiting.answer()
    assert (answer.status, answer.body) == (200, TEXT)
    eventually(lambda: server.audited() == [id_of(answer)])


def test_what_was_done_before_its_line_could_be_written_is_audited_later(start: Start) -> None:
    server = start(0.5)
    server.fill_pipe()  # which the service does not know yet
    stored = ask(server, request("PUT /upload/b.txt", body=TEXT))
    assert stored.status == 201
    assert_refused(ask(server, DOWNLOAD))
    server.read_on()
    eventually(lambda: server.audited() == [id_of(stored)])
    eventually(lambda: ask(server, DOWNLOAD).status == 200)  # once the service knows it as well


def test_a_refused_download_by_a_link_gives_its_use_back(start: Start) -> None:
    server = start(3)  # in which the line of the new link is written
    with server.client() as client:
        link = client.post("/links", json={"name": "a.txt", "uses": 1}, headers=server.token).json()
        path = link["url"].removeprefix(server.url)
        server.fill_pipe()
        assert_refused(ask(server, request(f"GET {path}/a.txt")))
        described = client.get(f"/links/{link['id']}", headers=server.token).json()
    assert described["uses_left"] == 1


def test_lines_that_cannot_be_written_before_the_end_are_counted_in_the_log(start: Start) -> None:
    server = start(0.5)
    server.fill_pipe()
    assert ask(server, request("PUT /upload/b.txt", body=TEXT)).status == 201
    server.stop()
    assert "1 line of the audit log could not be written" in server.log()


def test_a_full_disk_refuses_what_would_not_be_audited_and_the_log_says_why(tmp_path: Path) -> None:
    server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "AUDIT_LOG": "/dev/full"})
    try:
        server.put("a.txt", TEXT)
        for _ in range(2):
            assert_refused(ask(server, DOWNLOAD))
        (line,) = [line for line in server.log().splitlines() if "audit log" in line]
        assert "No space left on device" in line
    finally:
        server.kill()


def audit_writer(handler: "logging.StreamHandler[Any]", seconds: float) -> AuditWriter:
    """Return a writer that the event loop knows: as from its next iteration on."""
    writer = AuditWriter(handler, seconds)
    gevent.sleep(0.001)
    return writer


def test_a_greenlet_that_has_just_been_started_need_not_wait_for_another_event(
    tmp_path: Path,
) -> None:
    """As for the first request of a connection, after which nothing may happen for long."""
    writer = audit_writer(logging.FileHandler(tmp_path / "audit"), 10.0)
    assert gevent.spawn(lambda: writer.add("line")()).get()
    writer.close(10.0)


def test_a_pipe_that_does_not_block_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever starts the service may have made its standard output so."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as pipe:
        writer = audit_writer(logging.StreamHandler(stream), 30.0)
        lines = ["x" * 1000 for _ in range(100)]
        written = [gevent.spawn(lambda line=line: writer.add(line)()) for line in lines]
        while fcntl.ioctl(reading, termios.FIONREAD, bytes(4)) == bytes(4):
            gevent.sleep(0.001)
        data = get_hub().threadpool.apply(pipe.read, (100 * 1001,))
        assert [each.get() for each in written] == [True] * 100
        writer.close(30.0)
    assert data.decode().split() == lines
    assert not caplog.records


def test_a_file_that_could_not_be_opened_again_is_opened_once_it_can_be(tmp_path: Path) -> None:
    """The log was rotated while its directory was away, so gunicorn has closed it and no more."""
    directory = tmp_path / "log"
    directory.mkdir()
    handler = logging.FileHandler(directory / "audit")
    writer = audit_writer(handler, 10.0)
    assert gevent.spawn(lambda: writer.add("first")()).get()
    directory.rename(tmp_path / "away")
    handler.close()
    assert not gevent.spawn(lambda: writer.add("refused")()).get()
    assert writer.is_blocked()
    directory.mkdir()
    eventually(lambda: not writer.is_blocked())
    assert gevent.spawn(lambda: writer.add("last")()).get()
    writer.close(10.0)
    handler.close()
    assert (directory / "audit").read_text() == "refused\nlast\n"


def test_an_audit_log_that_was_rotated_is_continued_in_a_new_file(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "AUDIT_LOG": str(log)})
    try:
        server.put("a.txt", TEXT)
        before = id_of(ask(server, DOWNLOAD))
        rotated = log.rename(tmp_path / "audit.log.1")
        server.process.send_signal(signal.SIGUSR1)
        eventually(lambda: ask(server, DOWNLOAD).status == 200 and log.exists() and log.read_text())
        assert before in rotated.read_text()
        assert before not in log.read_text()
        after = id_of(ask(server, DOWNLOAD))
        assert after in log.read_text()
        assert after not in rotated.read_text()
    finally:
        server.kill()
