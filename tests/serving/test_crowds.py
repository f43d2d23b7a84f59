"""More clients than there is room for."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.rig import TunedServer, comes_nothing
from tests.support.wire import Wire, ask, eventually, request

LINE = b"a line of text that fills the file\n"
PROBE = request("GET /healthz")
ROOM = 10


@pytest.fixture
def server(tune: Callable[..., TunedServer]) -> TunedServer:
    """A server with room for few connections, which are kept for long."""
    server = tune(f"worker_connections = {ROOM}", "TransferWorker.head_timeout = 60")
    with (server.store / "large.txt").open("wb") as file:
        file.truncate(64 << 20)
    eventually(lambda: not server.held())
    return server


def assert_answered_soon(server: TunedServer) -> None:
    """A new connection is answered long before the others are closed, after 60 seconds."""
    begun = time.monotonic()
    with Wire(server) as wire:
        assert wire.ask(PROBE).status == 200
    assert time.monotonic() - begun < 20


def trickle(wires: list[Wire], over: threading.Event) -> None:
    """Send a byte now and then on each of these, until it is over."""
    while not over.wait(0.1):
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.send(b"a")


@contextlib.contextmanager
def running(
    work: Callable[[list[Wire], threading.Event], None], wires: list[Wire]
) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=work, args=(wires, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_idle_connections_give_way_to_new_ones_the_longest_idle_first(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(ROOM + 5)]
        for wire in wires:
            assert wire.ask(PROBE).status == 200
        for _ in range(5):
            assert_answered_soon(server)
        assert wires[0].ended()
        assert wires[-1].ask(PROBE).status == 200
    assert "Traceback" not in server.log()


def test_connections_that_never_said_anything_give_way_to_new_ones(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * ROOM):
            stack.enter_context(Wire(server))
        assert_answered_soon(server)
    assert "Traceback" not in server.log()


def test_connections_that_do_not_end_their_heads_give_way_to_new_ones(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * ROOM):
            stack.enter_context(Wire(server)).send(b"GET /healthz HTTP/1.1\r\nHost:")
        assert_answered_soon(server)
    assert "Traceback" not in server.log()


def test_clients_that_send_on_after_a_refusal_give_way_to_new_ones(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(ROOM)]
        for wire in wires:
            wire.send(request("PUT /upload/a.exe", "Content-Length: 1000000") + LINE)
            assert wire.answer().status == 415
        with running(trickle, wires):
            assert_answered_soon(server)
    assert "Traceback" not in server.log()


def test_transfers_do_not_give_way(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        transfers = [stack.enter_context(Wire(server)) for _ in range(ROOM)]
        for wire in transfers:
            wire.send(request("GET /download/large.txt"))
            assert wire.socket.recv(1, socket.MSG_PEEK)
        late = stack.enter_context(Wire(server))
        late.send(PROBE)
        assert comes_nothing(late)
        assert len(transfers[0].answer().body) == 64 << 20
        assert late.answer().status == 200
        for wire in transfers[1:]:
            assert len(wire.answer().body) == 64 << 20


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A path at which syncs wait until there is something."""
    return tmp_path / "gate"


@pytest.fixture
def slow(gate: Path, tmp_path: Path) -> Iterator[TunedServer]:
    """A server whose disk does not sync until the gate is open."""
    server = TunedServer(
        {"STORE_URL": str(tmp_path / "store"), "FSYNC": "true", "MIN_FREE_SPACE": "0"},
        "import os, time",
        "_sleep, _exists, _fsync, _master = time.sleep, os.path.exists, os.fsync, os.getpid()",
        "def _slow(descriptor):",
        f"    while os.getppid() == _master and not _exists({str(gate)!r}): _sleep(0.01)",
        "    _fsync(descriptor)",
        "def post_worker_init(worker): os.fsync = os.fdatasync = _slow",
    )
    yield server
    gate.touch()
    server.kill()


NOTHING = request("GET /nothing")


def test_past_a_bound_of_waiting_work_the_answer_is_an_early_refusal(
    slow: TunedServer, gate: Path
) -> None:
    slow.put("large.txt", LINE * 1_000_000)
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(Wire(slow)) for _ in range(40)]
        down, small, large = (stack.enter_context(Wire(slow)) for _ in range(3))
        down.send(request("GET /download/large.txt"))
        assert down.socket.recv(1, socket.MSG_PEEK)
        for number, wire in enumerate(uploads):
            wire.send(request(f"PUT /upload/{number}.txt", body=LINE))
        eventually(lambda: ask(slow, NOTHING).status == 503)
        refused = small.ask(request("PUT /upload/refused.txt", body=LINE))
        assert (refused.status, refused.code(), refused.closes()) == (503, "busy", False)
        assert int(refused.headers["Retry-After"]) > 0
        large.send(request("PUT /upload/refused.txt", "Content-Length: 100000000"))
        refused = large.answer()
        assert (refused.code(), refused.closes()) == ("busy", True)
        assert down.answer().body == LINE * 1_000_000
        gate.touch()
        assert [wire.answer().status for wire in uploads] == [201] * 40
    eventually(lambda: ask(slow, NOTHING).status == 404)
    assert "refused.txt" not in slow.published()
    assert "requests are refused" in slow.log()


def test_a_health_check_is_not_refused_where_others_are(slow: TunedServer, gate: Path) -> None:
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(Wire(slow)) for _ in range(40)]
        for number, wire in enumerate(uploads):
            wire.send(request(f"PUT /upload/{number}.txt", body=LINE))
        eventually(lambda: ask(slow, NOTHING).status == 503)
        health = stack.enter_context(Wire(slow))
        health.send(PROBE)
        gate.touch()
        assert health.answer().status == 200


def test_transfers_that_take_long_are_no_waiting_work(slow: TunedServer, gate: Path) -> None:
    gate.touch()
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(Wire(slow)) for _ in range(40)]
        for number, wire in enumerate(uploads):
            wire.send(request(f"PUT /upload/{number}.txt", "Content-Length: 70") + LINE)
        eventually(lambda: len(slow.staged()) == 40)
        for wire in uploads[:4]:
            assert comes_nothing(wire)
            assert ask(slow, NOTHING).status == 404
        for wire in uploads:
            wire.send(LINE)
            assert wire.answer().status == 201
