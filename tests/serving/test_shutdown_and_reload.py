"""Shutdown by SIGTERM, the drain delay and the grace period, reload by SIGHUP, max_requests."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.servers import ConfiguredServer, Traffic
from tests.support.wire import Wire, ask, assert_holds_only, chunked, eventually, request
from tests.support.workers import worker_with

LINE = b"a line of text that fills the file\n"
DATA = LINE * 1_000_000
PROBE = request("GET /healthz")
Start = Callable[..., ConfiguredServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a server of this test alone, with a file of 35 MB."""
    servers: list[ConfiguredServer] = []

    def start(*lines: str, **settings: str) -> ConfiguredServer:
        server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), **settings}, *lines)
        server.put("large.txt", DATA)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


def refuses_connections(server: ConfiguredServer) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.thorough), "2"])
def test_sigterm_ends_idle_connections_and_lets_transfers_finish(
    start: Start, workers: str
) -> None:
    server = start("keepalive = 100", WORKERS=workers, GRACE_PERIOD="100s")
    with contextlib.ExitStack() as stack:
        idle, up, chunks, down = (stack.enter_context(Wire(server)) for _ in range(4))
        assert idle.ask(PROBE).status == 200
        up.send(request("PUT /upload/up.txt", f"Content-Length: {len(DATA)}") + DATA[:100_000])
        chunks.send(request("PUT /upload/chunks.txt", "Transfer-Encoding: chunked"))
        chunks.send(b"%x\r\n" % len(DATA) + DATA[:100_000])
        eventually(lambda: len(server.staged()) == 2)
        down.send(request("GET /download/large.txt"))
        assert down.socket.recv(1, socket.MSG_PEEK)
        server.process.terminate()
        eventually(lambda: refuses_connections(server))
        assert idle.ended()  # within the 30 s of its socket; it could stay idle for 100 s
        assert len(server.staged()) == 2
        up.send(DATA[100_000:])
        chunks.send(DATA[100_000:] + b"\r\n0\r\n\r\n")
        for wire, status in ((up, 201), (chunks, 201), (down, 200)):
            answer = wire.answer()
            assert answer.status == status
            assert wire.ended()
            if wire is down:
                assert answer.body == DATA
            else:
                assert answer.closes()
    assert server.process.wait(60) == 0
    assert server.published() == ["chunks.txt", "large.txt", "up.txt"]
    assert "Traceback" not in server.log()


SLOW_START = """
import time
begin = post_fork

def post_fork(server, worker):
    with open({path!r}, "a") as file:
        file.write(".")
    time.sleep(1)
    begin(server, worker)
"""


def test_worker_that_gets_a_signal_while_it_starts_handles_it(start: Start, tmp_path: Path) -> None:
    """Its first signals came to handlers of gunicorn's master, and were lost."""
    begun = tmp_path / "begun"
    server = start(SLOW_START.format(path=str(begun)), WORKERS="1", GRACE_PERIOD="200s")
    server.kill_workers()
    eventually(lambda: begun.read_text() == "..")
    server.process.terminate()
    assert server.process.wait(60) == 0


def test_server_with_only_idle_connections_stops_at_once(start: Start) -> None:
    server = start("keepalive = 200", "head_timeout = 200", WORKERS="2", GRACE_PERIOD="200s")
    with contextlib.ExitStack() as stack:
        for number in range(20):
            wire = stack.enter_context(Wire(server))
            if number % 2:
                assert wire.ask(PROBE).status == 200
        assert server.stop() == 0  # within 60 s; they could stay idle for 200 s
    assert "Traceback" not in server.log()


def test_transfers_that_outlast_the_grace_period_are_cancelled_and_leave_no_files(
    start: Start,
) -> None:
    server = start("graceful_timeout = 5", WORKERS="2", IDLE_TIMEOUT="200s")
    with contextlib.ExitStack() as stack:
        up, chunks, form, down = (stack.enter_context(Wire(server)) for _ in range(4))
        up.send(request("PUT /upload/up.txt", "Content-Length: 10000000") + LINE * 10_000)
        chunks.send(request("PUT /upload/chunks.txt", "Transfer-Encoding: chunked"))
        chunks.send(chunked(LINE * 10_000)[:-5])
        form.send(
            request(
                "POST /upload",
                "Content-Type: multipart/form-data; boundary=X",
                "Content-Length: 10000000",
            )
            + b'--X\r\nContent-Disposition: form-data; name="file"; filename="form.txt"\r\n\r\n'
            + LINE * 10_000
        )
        down.send(request("GET /download/large.txt"))
        eventually(lambda: len(server.staged()) == 3)
        assert server.stop() == 0  # within 60 s; they could stall for 200 s
    assert server.staged() == []
    assert server.published() == ["large.txt"]
    assert "the grace period is over" in server.log()
    assert "Traceback" not in server.log()


def test_grace_period_is_a_setting(start: Start) -> None:
    server = start(GRACE_PERIOD="8s")  # in which a download ends
    with Wire(server) as done, Wire(server) as cut:
        for wire in (done, cut):
            wire.send(request("GET /download/large.txt"))
            assert wire.socket.recv(1, socket.MSG_PEEK)
        begun = time.monotonic()
        server.process.terminate()
        eventually(lambda: refuses_connections(server))
        assert done.answer().body == DATA
        assert server.process.wait(60) == 0
        assert 8 <= time.monotonic() - begun < 25  # 30 s without the setting


def test_draining_server_serves_requests_and_fails_health_checks(start: Start) -> None:
    server = start(DRAIN_DELAY="60s", WORKERS="1")  # others are told a moment later
    with Wire(server) as kept:
        assert kept.ask(PROBE).status == 200
        server.process.terminate()
        eventually(lambda: ask(server, PROBE).status == 503)
        answer = ask(server, PROBE)
        assert (answer.code(), answer.closes()) == ("shutting-down", True)
        assert "being stopped" in answer.json()["detail"]
        assert ask(server, request("GET /readyz")).code() == "shutting-down"
        assert ask(server, request("GET /livez")).status == 200
        answer = kept.ask(request("PUT /upload/late.txt", body=LINE))
        assert (answer.status, answer.closes()) == (201, True)
        assert ask(server, request("GET /download/late.txt")).body == LINE


def test_server_stops_accepting_after_the_drain_delay(start: Start) -> None:
    server = start(DRAIN_DELAY="1s")
    with Wire(server) as idle:
        assert idle.ask(PROBE).status == 200
        begun = time.monotonic()
        server.process.terminate()
        assert idle.ended()
        assert time.monotonic() - begun >= 1
        eventually(lambda: refuses_connections(server))
    assert server.process.wait(60) == 0


def test_reload_does_not_wait_for_the_drain_delay(start: Start) -> None:
    server = start(DRAIN_DELAY="30s", WORKERS="2")
    for _ in range(2):
        before = set(server.workers())
        os.kill(server.process.pid, signal.SIGHUP)

        def is_replaced(before: set[int] = before) -> bool:
            assert ask(server, PROBE).status == 200
            return len(server.workers()) == 2 and not before & set(server.workers())

        eventually(is_replaced)


def test_reload_fails_no_request_and_lets_transfers_finish(start: Start) -> None:
    server = start(WORKERS="2")
    before = set(server.workers())
    with Wire(server) as up, Wire(server) as down, Traffic(server) as traffic:
        up.send(request("PUT /upload/up.txt", f"Content-Length: {len(DATA)}") + DATA[:100_000])
        down.send(request("GET /download/large.txt"))
        eventually(lambda: traffic.done > 10)
        done = traffic.done
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: len(set(server.workers()) - before) == 2)
        eventually(lambda: traffic.done > done + 30)
        assert before & set(server.workers()), "the old workers have not waited for their transfers"
        up.send(DATA[100_000:])
        assert up.answer().status == 201
        assert down.answer().body == DATA
        eventually(lambda: not before & set(server.workers()))
    assert traffic.failures == []
    assert "Traceback" not in server.log()


def test_connection_accepted_before_a_reload_is_served(start: Start) -> None:
    server = start(WORKERS="1")
    with Wire(server) as wire:
        port = wire.socket.getsockname()[1]
        eventually(lambda: worker_with(server, port))  # it is accepted, and has sent nothing
        old = set(server.workers())
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: len(set(server.workers()) - old) == 1)
        assert wire.ask(PROBE).status == 200
        assert wire.ended()


@pytest.mark.parametrize("sign", [signal.SIGHUP, signal.SIGTERM])
def test_request_on_a_kept_connection_of_a_stopping_worker_is_answered(
    start: Start, sign: int
) -> None:
    server = start(WORKERS="1")
    with Wire(server) as wire:
        assert wire.ask(PROBE).status == 200
        os.kill(server.process.pid, sign)

        def closes() -> bool:
            answer = wire.ask(request("GET /nothing"))
            assert answer.status == 404
            return answer.closes()

        eventually(closes)  # the worker may not have received its signal yet
        assert wire.ended()


def test_workers_replaced_after_max_requests_fail_no_request(start: Start) -> None:
    server = start("max_requests = 20", "max_requests_jitter = 10", WORKERS="2")
    first = set(server.workers())
    with Traffic(server) as traffic:
        eventually(lambda: not first & set(server.workers()), 60)
    assert traffic.failures == []
    assert "Traceback" not in server.log()


@pytest.mark.thorough
def test_only_worker_replaced_after_max_requests_fails_no_request(start: Start) -> None:
    server = start("max_requests = 20", WORKERS="1")
    first = server.workers()
    with Traffic(server) as traffic:
        eventually(lambda: not set(first) & set(server.workers()), 60)
        done = traffic.done
        eventually(lambda: traffic.done > done + 10, 60)
    assert traffic.failures == []


def test_requests_pipelined_after_the_last_of_a_worker_are_not_executed(start: Start) -> None:
    server = start("max_requests = 10", WORKERS="1")
    with Wire(server) as wire:
        wire.send(b"".join(request(f"PUT /upload/{number}.txt", body=LINE) for number in range(30)))
        stored = []
        while not stored or not stored[-1].closes():
            stored.append(wire.answer())
        assert wire.ended()
    assert {answer.status for answer in stored} == {201}
    names = [f"{number}.txt" for number in range(len(stored))]
    eventually(lambda: ask(server, PROBE).status == 200)
    assert_holds_only(server, [*names, "large.txt"])
