"""More connections than a worker serves, and more requests than the disk has time for."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.servers import ConfiguredServer, receives_nothing
from tests.support.wire import Wire, ask, eventually, request

LINE = b"a line of text that fills the file\n"
PROBE = request("GET /healthz")
ROOM = 10
LARGE = 32 << 20
"""More bytes than the buffers of a connection hold."""


@pytest.fixture
def server(start_server: Callable[..., ConfiguredServer]) -> ConfiguredServer:
    """A server with room for few connections, which it keeps for a long time."""
    server = start_server(f"worker_connections = {ROOM}", "head_timeout = 60")
    with (server.store / "large.txt").open("wb") as file:
        file.truncate(LARGE)
    eventually(lambda: not server.open_descriptors())
    return server


def assert_answered_soon(server: ConfiguredServer) -> None:
    """Assert that a new connection is answered long before the others time out, after 60 s."""
    begun = time.monotonic()
    with Wire(server) as wire:
        assert wire.ask(PROBE).status == 200
    assert time.monotonic() - begun < 20


def trickle(wires: list[Wire], over: threading.Event) -> None:
    """Send a byte on each of these every tenth of a second until it is over."""
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


def test_new_connection_ends_the_one_that_is_idle_for_longest(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = []
        for _ in range(ROOM + 5):
            wires.append(stack.enter_context(Wire(server)))
            # One that waited for a second with its first request might be ended as well.
            assert wires[-1].ask(PROBE).status == 200
        for _ in range(5):
            assert_answered_soon(server)
        assert wires[0].ended()
        assert wires[-1].ask(PROBE).status == 200
    assert "Traceback" not in server.log()


def test_new_connection_ends_one_that_has_sent_nothing(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * ROOM):
            stack.enter_context(Wire(server))
        assert_answered_soon(server)
    assert "Traceback" not in server.log()


def test_new_connection_ends_one_with_an_unfinished_head(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * ROOM):
            stack.enter_context(Wire(server)).send(b"GET /healthz HTTP/1.1\r\nHost:")
        assert_answered_soon(server)
    assert "Traceback" not in server.log()


def test_new_connection_ends_one_that_sends_on_after_its_response(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(ROOM)]
        for wire in wires:
            wire.send(request("PUT /upload/a.exe", "Content-Length: 1000000") + LINE)
            assert wire.answer().status == 415
        with running(trickle, wires):
            assert_answered_soon(server)
    assert "Traceback" not in server.log()


def test_new_connection_waits_for_a_transfer_to_end(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        transfers = [stack.enter_context(Wire(server)) for _ in range(ROOM)]
        for wire in transfers:
            wire.send(request("GET /download/large.txt"))
            assert wire.socket.recv(1, socket.MSG_PEEK)
        late = stack.enter_context(Wire(server))
        late.send(PROBE)
        assert receives_nothing(late)
        assert len(transfers[0].answer().body) == LARGE
        assert late.answer().status == 200
        for wire in transfers[1:]:
            assert len(wire.answer().body) == LARGE


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A path; while no file is there, fsync waits on the server `slow`."""
    return tmp_path / "gate"


@pytest.fixture
def slow(gate: Path, tmp_path: Path) -> Iterator[ConfiguredServer]:
    """A server on which fsync returns only once the gate exists."""
    server = ConfiguredServer(
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


def test_requests_get_503_while_disk_work_waits_too_long(
    slow: ConfiguredServer, gate: Path
) -> None:
    slow.put("large.txt", LINE * 1_000_000)
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(Wire(slow)) for _ in range(40)]
        down, small, large = (stack.enter_context(Wire(slow)) for _ in range(3))
        down.send(request("GET /download/large.txt"))
        assert down.socket.recv(1, socket.MSG_PEEK)
        for number, wire in enumerate(uploads):
            wire.send(request(f"PUT /upload/{number}.txt", body=LINE)[:-1])
        # The last ones would be refused as well if the first ones had been waiting for long.
        eventually(lambda: len(slow.staged()) == len(uploads))
        for wire in uploads:
            wire.send(LINE[-1:])
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


def test_health_check_is_served_while_other_requests_get_503(
    slow: ConfiguredServer, gate: Path
) -> None:
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(Wire(slow)) for _ in range(40)]
        for number, wire in enumerate(uploads):
            wire.send(request(f"PUT /upload/{number}.txt", body=LINE))
        eventually(lambda: ask(slow, NOTHING).status == 503)
        health = stack.enter_context(Wire(slow))
        health.send(PROBE)
        gate.touch()
        assert health.answer().status == 200


def test_long_uploads_do_not_make_other_requests_get_503(
    slow: ConfiguredServer, gate: Path
) -> None:
    gate.touch()
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(Wire(slow)) for _ in range(40)]
        for number, wire in enumerate(uploads):
            wire.send(request(f"PUT /upload/{number}.txt", "Content-Length: 70") + LINE)
        eventually(lambda: len(slow.staged()) == 40)
        for wire in uploads[:4]:
            assert receives_nothing(wire)
            assert ask(slow, NOTHING).status == 404
        for wire in uploads:
            wire.send(LINE)
            assert wire.answer().status == 201
