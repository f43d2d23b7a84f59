"""Clients that are slow, or pretend to be: who is cut, who is not, and that nobody else notices."""

import contextlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.serving.transmit import _Patience
from tests.serving.rig import TunedServer, answers
from tests.support.wire import Wire, ask, assert_holds_only, chunked, eventually, request

LINE = b"a line of text that fills the file\n"
PROBE = request("GET /healthz")
HEAD_SECONDS = 1.5
IDLE_SECONDS = 1.0
LARGE = 64 << 20


@pytest.fixture
def server(tune: Callable[..., TunedServer]) -> TunedServer:
    """A server with little patience that keeps a file of 64 MiB."""
    server = tune(
        f"TransferWorker.head_timeout = {HEAD_SECONDS}", "keepalive = 1", IDLE_TIMEOUT="1s"
    )
    with (server.store / "large.txt").open("wb") as file:
        file.truncate(LARGE)
    return server


def trickle(wire: Wire, data: bytes, over: threading.Event) -> None:
    """Send twenty bytes a second until it is over."""
    for byte in data:
        if over.wait(0.05):
            return
        with contextlib.suppress(OSError):
            wire.send(bytes([byte]))


@pytest.mark.parametrize("earlier", [0, 1], ids=["first", "later"])
def test_a_head_that_trickles_is_cut_in_time(server: TunedServer, earlier: int) -> None:
    with Wire(server) as wire:
        for _ in range(earlier):
            assert wire.ask(PROBE).status == 200
        begun = time.monotonic()
        over = threading.Event()
        sender = threading.Thread(target=trickle, args=(wire, b"GET /" + b"a" * 999, over))
        sender.start()
        got = answers(wire)
        taken = time.monotonic() - begun
        over.set()
        sender.join()
    assert [answer.status for answer in got] in ([], [408])
    assert HEAD_SECONDS - 0.1 < taken < HEAD_SECONDS + 10


@pytest.mark.parametrize("sent", [b"", b"G", PROBE[:-1]], ids=["nothing", "a byte", "nearly all"])
def test_a_client_that_says_nothing_more_before_the_end_of_its_head_is_cut_in_time(
    server: TunedServer, sent: bytes
) -> None:
    with Wire(server) as wire:
        begun = time.monotonic()
        wire.send(sent)
        assert [answer.status for answer in answers(wire)] in ([], [408])
        assert time.monotonic() - begun < HEAD_SECONDS + 10


def test_a_kept_connection_without_a_further_request_ends_silently(server: TunedServer) -> None:
    with Wire(server) as wire:
        assert wire.ask(PROBE).status == 200
        begun = time.monotonic()
        assert answers(wire) == []
        assert 0.9 < time.monotonic() - begun < 10


def test_slow_but_steady_senders_are_never_cut(server: TunedServer) -> None:
    pieces = [LINE * 36] * 4  # of 1,260 bytes
    with Wire(server) as raw, Wire(server) as chunks:
        raw.send(request("PUT /upload/raw.txt", f"Content-Length: {4 * len(pieces[0])}"))
        chunks.send(request("PUT /upload/chunks.txt", "Transfer-Encoding: chunked"))
        begun = time.monotonic()
        for piece in pieces:
            time.sleep(0.7 * IDLE_SECONDS)  # the pace of a slow client
            raw.send(piece)
            chunks.send(chunked(piece)[:-5])
        chunks.send(b"0\r\n\r\n")
        assert time.monotonic() - begun > 2 * IDLE_SECONDS
        assert [wire.answer().status for wire in (raw, chunks)] == [201, 201]


TRICKLES = {
    "a body": (f"Content-Length: {LARGE}", LINE * 10),
    "chunks": ("Transfer-Encoding: chunked", b"1\r\na\r\n" * 50),
    "an extension of a chunk": ("Transfer-Encoding: chunked", b"1\r\na\r\n1;b=" + b"c" * 350),
    "a trailer": ("Transfer-Encoding: chunked", b"1\r\na\r\n0\r\nX: " + b"c" * 350),
}


@pytest.mark.parametrize(("field", "body"), TRICKLES.values(), ids=TRICKLES.keys())
def test_a_body_that_trickles_only_to_hold_its_connection_is_too_slow(
    server: TunedServer, field: str, body: bytes
) -> None:
    over = threading.Event()
    with Wire(server) as wire:
        wire.send(request("PUT /upload/a.txt", field))
        begun = time.monotonic()
        sender = threading.Thread(target=trickle, args=(wire, body, over))
        sender.start()
        try:
            answer = wire.answer()
            assert (answer.status, answer.code(), answer.closes()) == (408, "too-slow", True)
            assert time.monotonic() - begun < 2 * IDLE_SECONDS + 10
        finally:
            over.set()
            sender.join()
    assert_holds_only(server, ["large.txt"])


def test_a_crumb_taken_from_the_send_buffer_is_no_sign_of_life() -> None:
    out, taker = socket.socketpair()
    with out, taker:
        out.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                out.send(b"a")  # each byte has a buffer of its own, of less than 1 KiB
        patience = _Patience(out)
        patience.judge(TimeoutError())
        for _ in range(20):
            taker.recv(1)
        patience.judge(TimeoutError())
        taker.recv(1)
        with pytest.raises(TimeoutError):
            patience.judge(TimeoutError())


def test_a_body_that_stalls_after_steady_sending_is_too_slow(server: TunedServer) -> None:
    with Wire(server) as wire:
        wire.send(request("PUT /upload/a.txt", "Content-Length: 100") + LINE)
        begun = time.monotonic()
        answer = wire.answer()
        assert (answer.status, answer.code(), answer.closes()) == (408, "too-slow", True)
        assert IDLE_SECONDS - 0.1 < time.monotonic() - begun < IDLE_SECONDS + 10
    assert_holds_only(server, ["large.txt"])


DOWNLOADS = {
    "whole": request("GET /download/large.txt"),
    "a range": request("GET /download/large.txt", f"Range: bytes=1000-{LARGE - 1000}"),
    "several ranges": request(
        "GET /download/large.txt", f"Range: bytes=0-99,1000-{LARGE - 1000},{LARGE - 10}-"
    ),
}


@pytest.mark.parametrize(
    "download",
    [
        pytest.param(DOWNLOADS["whole"], id="whole"),
        pytest.param(DOWNLOADS["a range"], id="a range", marks=pytest.mark.thorough),
        pytest.param(DOWNLOADS["several ranges"], id="several ranges", marks=pytest.mark.thorough),
    ],
)
def test_a_client_that_takes_nothing_is_cut_and_its_descriptors_are_given_back(
    server: TunedServer, download: bytes
) -> None:
    eventually(lambda: not server.held())
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(10)]
        for wire in wires:
            wire.send(download)
        eventually(lambda: len(server.held()) == 20)  # a connection and a file for each
        eventually(lambda: not server.held())
        for wire in wires:
            assert len(take(wire)) < LARGE


def test_slow_but_steady_readers_are_never_cut(server: TunedServer) -> None:
    """A socket becomes writable only when a third of its buffer is free, which may take a slow
    reader longer than the idle limit: writable is not the measure of whether it takes bytes."""
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(server)) for name in DOWNLOADS}
        for name, wire in wires.items():
            wire.send(DOWNLOADS[name])
        taken = dict.fromkeys(wires, 0)
        over = time.monotonic() + 4 * IDLE_SECONDS
        while time.monotonic() < over:
            for name, wire in wires.items():
                taken[name] += len(wire.socket.recv(64 * 1024))
            time.sleep(IDLE_SECONDS / 10)
        for name, wire in wires.items():
            taken[name] += len(take(wire, LARGE - taken[name] - 2000))
        cut = {name: count for name, count in taken.items() if count < LARGE - 3000}
        assert not cut, "these got only so many bytes"


def take(wire: Wire, count: int = LARGE) -> bytes:
    """At least so many bytes, or what there is."""
    taken = bytearray()
    try:
        while len(taken) < count and (block := wire.socket.recv(1 << 20)):
            taken += block
    except ConnectionResetError:
        pass
    return bytes(taken)


@pytest.mark.parametrize("how", ["finish", "reset"])
def test_clients_that_go_in_mid_download_give_their_descriptors_back(
    server: TunedServer, how: str
) -> None:
    for download in DOWNLOADS.values():
        with Wire(server) as wire:
            wire.send(download)
            assert wire.socket.recv(1000)
            getattr(wire, how)()
    eventually(lambda: not server.held())
    assert ask(server, PROBE).status == 200


ATTACKS = {
    "slow heads": ("-H", "-i", "1", "-x", "24", "-t", "GET"),
    "slow bodies": ("-B", "-i", "1", "-s", "8192", "-x", "10", "-t", "FAKE"),
    "slow reading": ("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "8", "-k", "2"),
}


@pytest.mark.parametrize(
    "attack",
    [
        "slow heads",
        *(pytest.param(f"slow {w}", marks=pytest.mark.thorough) for w in ("bodies", "reading")),
    ],
)
def test_a_probe_is_answered_while_slowhttptest_does_its_worst(
    server: TunedServer, tool: Callable[[str], str], tmp_path: Path, attack: str
) -> None:
    target = "/download/large.txt" if attack == "slow reading" else "/upload/slow.txt"
    attacker = subprocess.Popen(
        [tool("slowhttptest"), *ATTACKS[attack], "-c", "300", "-r", "200", "-l", "4", "-p", "2"]
        + ["-u", server.url + target],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        slowest, probes = 0.0, 0
        while attacker.poll() is None and probes < 2000:
            begun = time.monotonic()
            assert ask(server, PROBE).status == 200
            slowest = max(slowest, time.monotonic() - begun)
            probes += 1
            time.sleep(0.01)
    finally:
        attacker.kill()
        log, _ = attacker.communicate()
    # Whether the attacker's own probe is answered in time depends on the attacker, too.
    assert re.search(r"service available:\S*\s+\S*YES", log), log[-2000:]
    assert probes > 20, log[-2000:]
    assert slowest < 10
    assert_holds_only(server, ["large.txt"])
