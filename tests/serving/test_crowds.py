"""More clients than there is room for."""

import contextlib
import socket
import time
from collections.abc import Callable

import pytest
from live_http.wire import Wire, eventually, request
from serving.rig import TunedServer, comes_nothing

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


def assert_answered_soon(server: TunedServer, seconds: float = 1) -> None:
    begun = time.monotonic()
    with Wire(server) as wire:
        assert wire.ask(PROBE).status == 200
    assert time.monotonic() - begun < seconds


def test_idle_connections_give_way_to_new_ones_the_longest_idle_first(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(ROOM + 5)]
        for wire in wires:
            assert wire.ask(PROBE).status == 200
        for _ in range(5):
            assert_answered_soon(server)
        assert wires[0].ended()
        assert wires[-1].ask(PROBE).status == 200


def test_connections_that_never_said_anything_give_way_to_new_ones(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * ROOM):
            stack.enter_context(Wire(server))
        assert_answered_soon(server, 5)


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
