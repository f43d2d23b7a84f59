"""How the service ends and begins anew: SIGTERM, the grace period, SIGHUP, worn-out workers."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.rig import Stream, TunedServer
from tests.support.wire import Wire, ask, assert_holds_only, chunked, eventually, request

LINE = b"a line of text that fills the file\n"
DATA = LINE * 1_000_000
PROBE = request("GET /healthz")
Start = Callable[..., TunedServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server of this test's own, which keeps a file of 35 MB."""
    servers: list[TunedServer] = []

    def start(*lines: str, **settings: str) -> TunedServer:
        server = TunedServer({"STORE_URL": str(tmp_path / "store"), **settings}, *lines)
        server.put("large.txt", DATA)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


def refuses_connections(server: TunedServer) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.thorough), "2"])
def test_a_stopping_server_accepts_nothing_ends_what_is_idle_and_finishes_what_runs(
    start: Start, workers: str
) -> None:
    server = start(WORKERS=workers)
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
        begun = time.monotonic()
        eventually(lambda: refuses_connections(server))
        assert idle.ended()
        assert time.monotonic() - begun < 10  # it may idle for 15 s and more
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
    assert server.process.wait(5) == 0
    assert server.published() == ["chunks.txt", "large.txt", "up.txt"]
    assert "Traceback" not in server.log()


def test_a_server_with_idle_connections_only_stops_at_once(start: Start) -> None:
    server = start(WORKERS="2")
    with contextlib.ExitStack() as stack:
        for number in range(20):
            wire = stack.enter_context(Wire(server))
            if number % 2:
                assert wire.ask(PROBE).status == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 10  # they may idle for 15 s and more
    assert "Traceback" not in server.log()


def test_transfers_that_outlast_the_grace_are_cut_and_leave_nothing(start: Start) -> None:
    server = start("graceful_timeout = 6", WORKERS="2")
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
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 20
    assert server.staged() == []
    assert server.published() == ["large.txt"]
    assert "the grace period is over" in server.log()
    assert "Traceback" not in server.log()


def test_what_transfers_are_given_to_finish_is_a_setting(start: Start) -> None:
    server = start(GRACE_PERIOD="2s")
    with Wire(server) as done, Wire(server) as cut:
        for wire in (done, cut):
            wire.send(request("GET /download/large.txt"))
            assert wire.socket.recv(1, socket.MSG_PEEK)
        begun = time.monotonic()
        server.process.terminate()
        eventually(lambda: refuses_connections(server))
        assert done.answer().body == DATA
        assert server.process.wait(10) == 0
        assert 2 <= time.monotonic() - begun < 20  # without the setting, 30 s


def test_a_service_that_drains_serves_on_and_says_that_it_stops(start: Start) -> None:
    server = start(DRAIN_DELAY="4s", WORKERS="2")
    with Wire(server) as kept, Wire(server) as idle:
        assert kept.ask(PROBE).status == idle.ask(PROBE).status == 200
        begun = time.monotonic()
        server.process.terminate()
        eventually(lambda: ask(server, PROBE).status == 503)
        answer = ask(server, PROBE)
        assert (answer.code(), answer.closes()) == ("shutting-down", True)
        assert "being stopped" in answer.json()["detail"]
        answer = kept.ask(request("PUT /upload/late.txt", body=LINE))
        assert (answer.status, answer.closes()) == (201, True)
        assert ask(server, request("GET /download/late.txt")).body == LINE
        assert time.monotonic() - begun < 4, "this machine is too slow for the test"
        assert idle.ended()
        assert time.monotonic() - begun >= 4
        eventually(lambda: refuses_connections(server))
    assert server.process.wait(10) == 0


def test_a_reload_needs_no_draining(start: Start) -> None:
    server = start(DRAIN_DELAY="30s", WORKERS="2")
    for _ in range(2):
        before = set(server.workers())
        os.kill(server.process.pid, signal.SIGHUP)

        def is_replaced(before: set[int] = before) -> bool:
            assert ask(server, PROBE).status == 200
            return len(server.workers()) == 2 and not before & set(server.workers())

        eventually(is_replaced)


def test_a_reload_fails_no_request_and_lets_transfers_finish(start: Start) -> None:
    server = start(WORKERS="2")
    before = set(server.workers())
    with Wire(server) as up, Wire(server) as down, Stream(server) as stream:
        up.send(request("PUT /upload/up.txt", f"Content-Length: {len(DATA)}") + DATA[:100_000])
        down.send(request("GET /download/large.txt"))
        eventually(lambda: stream.done > 50)
        done = stream.done
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: len(set(server.workers()) - before) == 2)
        eventually(lambda: stream.done > done + 100)
        assert before & set(server.workers()), "old workers wait for their transfers"
        up.send(DATA[100_000:])
        assert up.answer().status == 201
        assert down.answer().body == DATA
        eventually(lambda: not before & set(server.workers()))
    assert stream.failures == []
    assert "Traceback" not in server.log()


def test_a_connection_that_is_just_made_when_the_workers_change_is_answered(start: Start) -> None:
    server = start(WORKERS="1")
    with Wire(server) as wire:
        eventually(server.held)  # it is accepted, and has not said anything
        old = set(server.workers())
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: len(set(server.workers()) - old) == 1)
        assert wire.ask(PROBE).status == 200
        assert wire.ended()


@pytest.mark.parametrize("sign", [signal.SIGHUP, signal.SIGTERM])
def test_what_is_asked_on_a_kept_connection_as_its_worker_stops_is_answered(
    start: Start, sign: int
) -> None:
    server = start(WORKERS="1")
    with Wire(server) as wire:
        assert wire.ask(PROBE).status == 200
        os.kill(server.process.pid, sign)

        def is_the_last() -> bool:
            answer = wire.ask(request("GET /nothing"))
            assert answer.status == 404
            return answer.closes()

        eventually(is_the_last)  # the worker may not know yet that it is to stop
        assert wire.ended()


def test_workers_that_are_replaced_after_their_share_of_requests_lose_none(start: Start) -> None:
    server = start("max_requests = 40", "max_requests_jitter = 20", WORKERS="2")
    first = set(server.workers())
    with Stream(server) as stream:
        eventually(lambda: stream.done > 600, 30)
    assert stream.failures == []
    assert not first & set(server.workers())
    assert "Traceback" not in server.log()


@pytest.mark.thorough
def test_the_only_worker_may_be_replaced_too(start: Start) -> None:
    server = start("max_requests = 50", WORKERS="1")
    first = server.workers()
    with Stream(server) as stream:
        eventually(lambda: stream.done > 200, 30)
    assert stream.failures == []
    assert server.workers() != first


def test_what_is_pipelined_behind_a_workers_last_request_is_not_half_done(start: Start) -> None:
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
