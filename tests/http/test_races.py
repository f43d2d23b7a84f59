"""One name, one winner; whole or absent to every reader; and memory that stays flat."""

import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import crowd
from tests.support.memory import growth_of, resident
from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, ask, assert_holds_only, eventually, request

MIB = 1 << 20
PROCESSES, UPLOADS_EACH = 5, 10
SIZES = [
    pytest.param(128 * MIB, id="128 MiB"),
    pytest.param(512 * MIB, id="512 MiB", marks=pytest.mark.thorough),
]


@pytest.mark.usefixtures("over_a_directory")  # tests/cluster has races for a bucket
def test_exactly_one_of_fifty_simultaneous_uploads_to_one_name_wins(server: LiveServer) -> None:
    commands = [
        [sys.executable, crowd.__file__, str(server.port), "a.txt", str(n), str(UPLOADS_EACH)]
        for n in range(0, PROCESSES * UPLOADS_EACH, UPLOADS_EACH)
    ]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for command in commands
    ]
    try:
        eventually(lambda: len(server.staged()) == PROCESSES * UPLOADS_EACH)
        for process in processes:
            assert process.stdin
            process.stdin.write(b"go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    statuses = {int(n): status for output in outputs for n, status in json.loads(output).items()}
    assert Counter(statuses.values()) == {201: 1, 409: PROCESSES * UPLOADS_EACH - 1}
    (winner,) = (number for number, status in statuses.items() if status == 201)
    assert (server.store / "a.txt").read_bytes() == crowd.content(winner)
    assert ask(server, request("GET /download/a.txt")).body == crowd.content(winner)
    assert_holds_only(server, ["a.txt"])


def test_readers_see_all_of_a_file_or_nothing(server: LiveServer) -> None:
    names = [f"{number}.txt" for number in range(20)]
    data = b"a line of a file that is read while it comes\n" * 20_000
    seen: list[bytes | int] = []
    done = threading.Event()
    reading = threading.Barrier(4)

    def read() -> None:
        with Wire(server) as wire:
            reading.wait(30)
            for name in names:
                while True:
                    answer = wire.ask(request(f"GET /download/{name}"))
                    if answer.status != 404 and answer.body != data:
                        seen.append(answer.body)
                    if answer.status != 404 or done.is_set():
                        break

    def look_at_the_list() -> None:
        with Wire(server) as wire:
            reading.wait(30)
            while not done.is_set():
                files = wire.ask(request("GET /download")).json()
                seen.extend(file["size"] for file in files if file["size"] != len(data))

    readers = [threading.Thread(target=target) for target in (read, read, look_at_the_list)]
    for reader in readers:
        reader.start()
    try:
        reading.wait(30)
        with Wire(server) as wire:
            for name in names:
                asked = request(f"PUT /upload/{name}", body=data)
                middle = len(asked) // 2
                wire.send(asked[:middle])
                wire.send(asked[middle:])
                assert wire.answer().status == 201
    finally:
        done.set()
        for reader in readers:
            reader.join(60)
    assert seen == []


def test_simultaneous_uploads_and_deletions_of_one_name_never_mix_files(server: LiveServer) -> None:
    failures: list[object] = []
    start = threading.Barrier(4)

    def repeat(times: int, asked: bytes, may_be: Callable[[Answer], bool]) -> None:
        with Wire(server) as wire:
            start.wait(30)
            answers = [wire.ask(asked) for _ in range(times)]
        failures.extend(answer for answer in answers if not may_be(answer))

    def stored(answer: Answer) -> bool:
        return answer.status in (201, 409)

    def deleted(answer: Answer) -> bool:
        return answer.status in (204, 404)

    def whole(answer: Answer) -> bool:
        return answer.status == 404 or answer.body in (b"x" * 1000, b"y" * 1000)

    threads = [
        threading.Thread(target=repeat, args=case)
        for case in (
            (30, request("PUT /upload/a.txt", body=b"x" * 1000), stored),
            (30, request("PUT /upload/a.txt", body=b"y" * 1000), stored),
            (60, request("DELETE /download/a.txt"), deleted),
            (60, request("GET /download/a.txt"), whole),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    eventually(lambda: not server.staged())


# Memory


@pytest.fixture(scope="module")
def warm_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveServer]:
    """A server of one worker that has taken and given a file before."""
    store = tmp_path_factory.mktemp("memory") / "store"
    server = LiveServer({"STORE_URL": str(store), "WORKERS": "1", "FSYNC": "false"})
    try:
        upload(server, "warm.bmp", 32 * MIB)
        download(server, "/download/warm.bmp")
        download(server, "/download/warm.bmp", "Range: bytes=0-99999,200000-999999")
        for size in (128 * MIB, 512 * MIB):
            with (store / f"{size}.bmp").open("wb") as file:
                file.truncate(size)
        yield server
    finally:
        server.stop()
        for path in store.glob("*.bmp"):
            path.unlink()


BMP_HEAD = (Path(__file__).parent.parent / "samples" / "img.bmp").read_bytes()


def upload(server: LiveServer, name: str, size: int, *, chunks: bool = False) -> None:
    """Upload an image of so many bytes."""
    frame = "Transfer-Encoding: chunked" if chunks else f"Content-Length: {size}"
    block = bytes(MIB)
    with Wire(server) as wire:
        wire.send(request(f"PUT /upload/{name}", frame))
        for number in range(size // MIB):
            data = BMP_HEAD + block[len(BMP_HEAD) :] if number == 0 else block
            wire.send(b"100000\r\n" + data + b"\r\n" if chunks else data)
        if chunks:
            wire.send(b"0\r\n\r\n")
        assert wire.answer().status == 201


def download(server: LiveServer, path: str, *fields: str) -> int:
    """Download, and give the number of bytes that came."""
    buffer, count = bytearray(MIB), 0
    with Wire(server) as wire:
        wire.send(request(f"GET {path}", "Connection: close", *fields))
        while received := wire.socket.recv_into(buffer):
            count += received
    return count


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(False, id="with its length", marks=pytest.mark.thorough),
        pytest.param(True, id="chunked"),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_memory_does_not_grow_with_an_upload(
    warm_server: LiveServer, size: int, chunks: bool
) -> None:
    with growth_of(warm_server.workers()[0]) as growth:
        upload(warm_server, f"new{chunks}.bmp", size, chunks=chunks)
    (warm_server.store / f"new{chunks}.bmp").unlink()
    assert growth.bytes < 16 * MIB


@pytest.mark.parametrize("size", SIZES)
def test_memory_does_not_grow_with_a_download(warm_server: LiveServer, size: int) -> None:
    with growth_of(warm_server.workers()[0]) as growth:
        assert download(warm_server, f"/download/{size}.bmp") > size
    assert growth.bytes < 16 * MIB


@pytest.mark.parametrize("size", SIZES)
def test_memory_does_not_grow_with_the_number_of_ranges(warm_server: LiveServer, size: int) -> None:
    step = size // 64
    ranges = ",".join(f"{n * step}-{n * step + 3 * step // 4}" for n in range(60))
    with growth_of(warm_server.workers()[0]) as growth:
        count = download(warm_server, f"/download/{size}.bmp", f"Range: bytes={ranges}")
    assert 45 * step < count < 45 * step + MIB
    assert growth.bytes < 16 * MIB


def test_memory_does_not_grow_with_a_client_that_does_not_read(
    warm_server: LiveServer,
) -> None:
    path = f"/download/{512 * MIB}.bmp"
    with growth_of(warm_server.workers()[0]) as growth, Wire(warm_server) as wire:
        for _ in range(5):
            wire.send(request(f"GET {path}"))
        with Wire(warm_server) as other:
            assert other.ask(request(f"HEAD {path}")).status == 200
    assert growth.bytes < 16 * MIB


def test_memory_of_vanished_clients_is_returned_to_the_kernel(warm_server: LiveServer) -> None:
    (worker,) = warm_server.workers()
    before, clients = resident(worker), 32

    def begin(name: str) -> Wire:
        wire = stack.enter_context(Wire(warm_server))
        wire.send(request(f"PUT /upload/{name}.bmp", f"Content-Length: {100 * MIB}"))
        wire.send(BMP_HEAD + bytes(8 * MIB))
        return wire

    with contextlib.ExitStack() as stack:
        vanishing = [begin(f"vanishing{number}") for number in range(clients)]
        eventually(lambda: resident(worker) - before > clients * 3 * MIB)
        staying = begin("staying")  # its memory lies behind theirs
        eventually(lambda: all(path.stat().st_size > 6 * MIB for path in warm_server.staged()))
        for wire in vanishing:
            wire.reset()
        eventually(lambda: len(warm_server.staged()) == 1)
        eventually(lambda: resident(worker) - before < 24 * MIB)
        staying.reset()


def test_every_connection_and_file_is_closed_again(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(WORKERS="1")
    descriptors = Path(f"/proc/{server.workers()[0]}/fd")

    def go_through_everything() -> None:
        for asked in (
            request("PUT /upload/a.txt", body=b"text"),
            request("PUT /upload/a.txt", body=b"text"),
            request("PUT /upload/b.pdf", body=b"text"),
            request("GET /download/a.txt"),
            request("HEAD /download/a.txt"),
            request("GET /download/a.txt", "Range: bytes=0-0,2-2"),
            request("GET /download/a.txt", "Range: bytes=9-"),
            request("GET /download/a.txt", "If-None-Match: *"),
            request("GET /download/a.txt", 'If-Match: "x"'),
            request("GET /download"),
            request("HEAD /download"),
            request("GET /download?limit=1"),
            request("HEAD /upload"),
            request("DELETE /download/a.txt"),
        ):
            ask(server, asked)

    go_through_everything()
    before = len(list(descriptors.iterdir()))
    for _ in range(10):
        go_through_everything()
    eventually(lambda: len(list(descriptors.iterdir())) <= before)
    assert "ResourceWarning" not in server.log()
