"""Clients that send or read slowly: which are disconnected, and that others are served."""

import contextlib
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fileservice.serving.transmit import StallDetector
from tests.serving.servers import ConfiguredServer, answers
from tests.support.tus import named
from tests.support.wire import Wire, ask, assert_holds_only, chunked, eventually, request

LINE = b"a line of text that fills the file\n"
PROBE = request("GET /healthz")
HEAD_SECONDS = 3.0
IDLE_SECONDS = 1.0
LONGER_IDLE_SECONDS = 4.0
"""For clients that must stay within it, on a machine that may be busy."""
LARGE = 64 << 20


@pytest.fixture
def server(start_server: Callable[..., ConfiguredServer]) -> ConfiguredServer:
    """A server with short time limits and a file of 64 MiB."""
    server = start_server(f"head_timeout = {HEAD_SECONDS}", "keepalive = 1", IDLE_TIMEOUT="1s")
    make_large_file(server)
    return server


@pytest.fixture
def patient_server(start_server: Callable[..., ConfiguredServer]) -> ConfiguredServer:
    """A server with a longer idle timeout and a file of 64 MiB."""
    server = start_server(IDLE_TIMEOUT=f"{LONGER_IDLE_SECONDS:.0f}s")
    make_large_file(server)
    return server


def make_large_file(server: ConfiguredServer) -> None:
    with (server.store / "large.txt").open("wb") as file:
        file.truncate(LARGE)


@contextlib.contextmanager
def trickling(bodies: dict[Wire, bytes]) -> Iterator[None]:
    """Send twenty bytes a second on each connection while the context lasts."""
    over = threading.Event()

    def send() -> None:
        sending = {wire: iter(body) for wire, body in bodies.items()}
        while not over.wait(0.05):
            for wire, body in sending.items():
                with contextlib.suppress(OSError, StopIteration):
                    wire.send(bytes([next(body)]))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


@pytest.mark.parametrize("earlier", [0, 1], ids=["first", "later"])
def test_head_sent_slowly_ends_after_the_head_timeout(
    server: ConfiguredServer, earlier: int
) -> None:
    begun = time.monotonic()  # before the server counts
    with Wire(server) as wire:
        for _ in range(earlier):
            assert wire.ask(PROBE).status == 200
        with trickling({wire: b"GET /" + b"a" * 999}):
            got = answers(wire)
        taken = time.monotonic() - begun
    assert [answer.status for answer in got] in ([], [408])
    assert HEAD_SECONDS - 0.1 < taken < HEAD_SECONDS + 10


def test_unfinished_heads_end_after_the_head_timeout(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(3)]
        begun = time.monotonic()
        for wire, sent in zip(wires, (b"", b"G", PROBE[:-1]), strict=True):
            wire.send(sent)
        for wire in wires:
            assert [answer.status for answer in answers(wire)] in ([], [408])
        assert time.monotonic() - begun < HEAD_SECONDS + 10


def test_idle_kept_connection_is_closed_without_a_response(server: ConfiguredServer) -> None:
    with Wire(server) as wire:
        begun = time.monotonic()  # before the server counts
        assert wire.ask(PROBE).status == 200
        assert answers(wire) == []
        assert 0.9 < time.monotonic() - begun < 25  # 30 s without the setting


def test_slow_steady_uploads_succeed(patient_server: ConfiguredServer) -> None:
    pieces = [LINE * 36] * 9  # of 1,260 bytes
    with Wire(patient_server) as raw, Wire(patient_server) as chunks:
        raw.send(request("PUT /upload/raw.txt", f"Content-Length: {len(pieces) * len(pieces[0])}"))
        chunks.send(request("PUT /upload/chunks.txt", "Transfer-Encoding: chunked"))
        begun = time.monotonic()
        for piece in pieces:
            time.sleep(LONGER_IDLE_SECONDS / 4)  # the pace of a slow client
            raw.send(piece)
            chunks.send(chunked(piece)[:-5])
        chunks.send(b"0\r\n\r\n")
        assert time.monotonic() - begun > 2 * LONGER_IDLE_SECONDS
        assert [wire.answer().status for wire in (raw, chunks)] == [201, 201]


TRICKLES = {
    "a body": (f"Content-Length: {LARGE}", LINE * 10),
    "chunks": ("Transfer-Encoding: chunked", b"1\r\na\r\n" * 50),
    "an extension of a chunk": ("Transfer-Encoding: chunked", b"1\r\na\r\n1;b=" + b"c" * 350),
    "a trailer": ("Transfer-Encoding: chunked", b"1\r\na\r\n0\r\nX: " + b"c" * 350),
}


def test_bodies_below_the_minimum_rate_get_408(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(server)) for name in TRICKLES}
        begun = time.monotonic()
        for name, (field, _) in TRICKLES.items():
            wires[name].send(request("PUT /upload/a.txt", field))
        with trickling({wires[name]: body for name, (_, body) in TRICKLES.items()}):
            for name, wire in wires.items():
                answer = wire.answer()
                expected = (408, "too-slow", True)
                assert (answer.status, answer.code(), answer.closes()) == expected, name
        assert time.monotonic() - begun < 2 * IDLE_SECONDS + 10
    assert_holds_only(server, ["large.txt"])


def test_stall_detector_raises_if_only_some_bytes_left_the_send_buffer() -> None:
    out, taker = socket.socketpair()
    with out, taker:
        out.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                out.send(b"a")  # each byte takes a buffer of its own, of less than 1 KiB
        stall = StallDetector(out)
        stall.check(TimeoutError())
        for _ in range(20):
            taker.recv(1)
        stall.check(TimeoutError())
        taker.recv(1)
        with pytest.raises(TimeoutError):
            stall.check(TimeoutError())


def test_body_that_stalls_gets_408_after_the_idle_timeout(server: ConfiguredServer) -> None:
    with Wire(server) as wire:
        begun = time.monotonic()  # before the server counts
        wire.send(request("PUT /upload/a.txt", "Content-Length: 100") + LINE)
        answer = wire.answer()
        assert (answer.status, answer.code(), answer.closes()) == (408, "too-slow", True)
        assert IDLE_SECONDS - 0.1 < time.monotonic() - begun < IDLE_SECONDS + 10
    assert_holds_only(server, ["large.txt"])


def test_408_for_a_resumable_upload_says_that_it_can_continue(server: ConfiguredServer) -> None:
    version = "Tus-Resumable: 1.0.0"
    metadata = named("a.txt")["Upload-Metadata"]
    fields = (version, "Upload-Length: 100", f"Upload-Metadata: {metadata}")
    upload = ask(server, request("POST /tus/", *fields, body=b"")).headers["Location"]
    path = urlsplit(upload).path
    type_of_bytes = "Content-Type: application/offset+octet-stream"
    append = ("Upload-Offset: 0", type_of_bytes, version, "Content-Length: 100")
    with Wire(server) as wire:
        wire.send(request(f"PATCH {path}", *append) + LINE)
        answer = wire.answer()
    assert (answer.status, answer.code()) == (408, "too-slow")
    assert "continue a resumable upload at its offset" in answer.json()["detail"]
    status = ask(server, request(f"HEAD {path}", version))
    assert status.headers["Upload-Offset"] == str(len(LINE))


DOWNLOADS = {
    "whole": request("GET /download/large.txt"),
    "a range": request("GET /download/large.txt", f"Range: bytes=1000-{LARGE - 1000}"),
    "several ranges": request(
        "GET /download/large.txt", f"Range: bytes=0-99,1000-{LARGE - 1000},{LARGE - 10}-"
    ),
}


def test_downloads_of_which_nothing_is_read_end_and_release_their_descriptors(
    patient_server: ConfiguredServer,
) -> None:
    server = patient_server
    eventually(lambda: not server.open_descriptors())
    with contextlib.ExitStack() as stack:
        downloads = [*DOWNLOADS.values()] * 4
        wires = [stack.enter_context(Wire(server)) for _ in downloads]
        for wire, download in zip(wires, downloads, strict=True):
            wire.send(download)
        # A connection and a file for each.
        eventually(lambda: len(server.open_descriptors()) == 2 * len(wires))
        eventually(lambda: not server.open_descriptors())
        for wire in wires:
            assert len(read(wire)) < LARGE


def test_slow_steady_downloads_succeed(patient_server: ConfiguredServer) -> None:
    """A socket becomes writable only when a third of its buffer is free. That may take a slow
    reader longer than the idle timeout, so whether it is writable is not what counts."""

    def read_slowly(wire: Wire) -> int:
        taken = 0
        slow_until = time.monotonic() + 3 * LONGER_IDLE_SECONDS
        while time.monotonic() < slow_until:
            taken += len(wire.socket.recv(64 * 1024))
            time.sleep(LONGER_IDLE_SECONDS / 20)
        return taken + len(read(wire, LARGE - taken - 2000))

    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as readers:
        wires = [stack.enter_context(Wire(patient_server)) for _ in DOWNLOADS]
        for wire, download in zip(wires, DOWNLOADS.values(), strict=True):
            wire.send(download)
        counts = dict(zip(DOWNLOADS, readers.map(read_slowly, wires), strict=True))
    assert min(counts.values()) > LARGE - 3000, counts


def read(wire: Wire, count: int = LARGE) -> bytes:
    """Return at least so many bytes, or as many as there are."""
    taken = bytearray()
    try:
        while len(taken) < count and (block := wire.socket.recv(1 << 20)):
            taken += block
    except ConnectionResetError:
        pass
    return bytes(taken)


@pytest.mark.parametrize("how", ["finish", "reset"])
def test_disconnect_during_a_download_releases_its_descriptors(
    server: ConfiguredServer, how: str
) -> None:
    for download in DOWNLOADS.values():
        with Wire(server) as wire:
            wire.send(download)
            assert wire.socket.recv(1000)
            getattr(wire, how)()
    eventually(lambda: not server.open_descriptors())
    assert ask(server, PROBE).status == 200


ATTACKS = {
    "slow heads": ("-H", "-i", "1", "-x", "24", "-t", "GET"),
    "slow bodies": ("-B", "-i", "1", "-s", "8192", "-x", "10", "-t", "FAKE"),
    "slow reading": ("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "8", "-k", "2"),
}


def times_of_probes(server: ConfiguredServer, attacker: "subprocess.Popen[bytes]") -> list[float]:
    """Return the seconds of at most 300 answers about the health during an attack."""
    seconds: list[float] = []
    while attacker.poll() is None and len(seconds) < 300:
        begun = time.monotonic()
        assert ask(server, PROBE).status == 200
        seconds.append(time.monotonic() - begun)
        time.sleep(0.01)
    return seconds


@pytest.mark.parametrize(
    "attack",
    [
        "slow heads",
        *(pytest.param(f"slow {w}", marks=pytest.mark.thorough) for w in ("bodies", "reading")),
    ],
)
def test_health_check_is_answered_during_an_attack_by_slowhttptest(
    server: ConfiguredServer, tool: Callable[[str], str], tmp_path: Path, attack: str
) -> None:
    target = "/download/large.txt" if attack == "slow reading" else "/upload/slow.txt"
    command = [tool("slowhttptest"), *ATTACKS[attack], "-c", "300", "-r", "200", "-l", "60"]
    command += ["-p", "2", "-u", server.url + target]
    seconds: list[float] = []
    while len(seconds) < 20:  # an attack ends when the server has closed all its connections
        with (tmp_path / "output").open("w+") as output:
            attacker = subprocess.Popen(
                command,
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                seconds += times_of_probes(server, attacker)
            finally:
                attacker.send_signal(signal.SIGINT)  # it says what it has seen, and ends
                attacker.wait()
        # Whether the attacker's own probe is answered in time depends on the attacker, too.
        log = (tmp_path / "output").read_text()
        assert re.search(r"service available:\S*\s+\S*YES", log), log[-2000:]
    assert max(seconds) < 20
    assert_holds_only(server, ["large.txt"])
