"""Unfinished uploads: their number and their space are limited, and they expire."""

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.disk import Disk
from tests.support.servers import LiveServer
from tests.support.tus import Tus, named
from tests.support.wire import Answer, Wire, ask, eventually, request

MIB = 1 << 20
LEFT_OVER = 3000


def creation(number: int, length: int = 1000, *fields: str) -> bytes:
    metadata = named(f"{number}.txt")["Upload-Metadata"]
    known = ("Tus-Resumable: 1.0.0", f"Upload-Length: {length}", f"Upload-Metadata: {metadata}")
    return request("POST /tus/", *known, *fields, body=b"")


def draft(number: int, *fields: str) -> bytes:
    return request(f"PUT /upload/{number}.txt", "Upload-Complete: ?0", *fields, body=b"")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code()) == (status, code)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_client_with_too_many_unfinished_uploads_is_refused_and_others_are_not(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(
        MAX_UNFINISHED_UPLOADS="6",
        MAX_UNFINISHED_UPLOADS_PER_CLIENT="4",
        TRUSTED_PROXIES="127.0.0.1",
        WORKERS="2",
    )
    here, there = "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
    with Wire(server) as wire:
        begun = [wire.ask(creation(number, 1000, here)) for number in range(2)]
        begun += [wire.ask(draft(number, here)) for number in range(2, 4)]
        assert [answer.status for answer in begun] == [201] * 4
        assert_refused(wire.ask(creation(5, 1000, here)), 429, "too-many-requests")
        assert_refused(wire.ask(draft(5, here)), 429, "too-many-requests")
        part = creation(5, 1000, here, "Upload-Concat: partial")
        assert_refused(wire.ask(part), 429, "too-many-requests")
        for number in (6, 7):
            assert wire.ask(creation(number, 1000, there)).status == 201
        assert_refused(wire.ask(creation(8, 1000, there)), 503, "busy")
        assert wire.ask(request("PUT /upload/plain.txt", here, body=b"text")).status == 201
        path = begun[0].headers["Location"].removeprefix("http://files.example")
        ended = wire.ask(request(f"DELETE {path}", "Tus-Resumable: 1.0.0"))
        assert ended.status == 204
        # Over a bucket the others' looks may be some seconds old.
        eventually(lambda: wire.ask(creation(9, 1000, here)).status == 201)


@pytest.mark.usefixtures("over_a_directory")
def test_simultaneous_creations_do_not_exceed_the_limit(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(MAX_UNFINISHED_UPLOADS_PER_CLIENT="20", WORKERS="2")

    def hammer(hammer: int) -> list[int]:
        with Wire(server) as wire:
            return [wire.ask(creation(100 * hammer + number)).status for number in range(12)]

    with ThreadPoolExecutor(12) as clients:
        statuses = [status for found in clients.map(hammer, range(12)) for status in found]
    assert statuses.count(201) == 20
    assert set(statuses) == {201, 429}
    bytes_of = [p for p in (server.store / ".fileservice/uploads").iterdir() if not p.suffix]
    assert len(bytes_of) == 20


def test_uploads_without_a_byte_do_not_reserve_all_the_space(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="2", MIN_FREE_SPACE="8MiB")
    status = os.statvfs(disk.path)
    free = status.f_bavail * status.f_frsize
    with Wire(server) as wire:
        answers = [wire.ask(creation(number, free // 22)) for number in range(22)]
    refused = [answer for answer in answers if answer.status != 201]
    assert refused
    assert {answer.code() for answer in refused} == {"storage-full"}
    assert "reserved" in refused[0].json()["detail"]
    status = os.statvfs(disk.path)
    assert status.f_bavail * status.f_frsize > free / 2
    assert ask(server, request("PUT /upload/a.txt", body=b"text" * MIB)).status == 201


@pytest.fixture
def few_inodes(
    root: None, tool: Callable[[str], str], tmp_path: Path
) -> Iterator[Callable[[], int]]:
    """How many inodes are free of the file system at `tmp_path / "disk"`, which has 400."""
    path = tmp_path / "disk"
    path.mkdir()
    options = "size=50m,nr_inodes=400"
    subprocess.run([tool("mount"), "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    yield lambda: os.statvfs(path).f_favail
    subprocess.run([tool("umount"), "-l", str(path)], check=True, timeout=30)


def test_inodes_are_left_for_uploads_that_continue_and_end(
    few_inodes: Callable[[], int], tmp_path: Path, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(
        STORE_URL=str(tmp_path / "disk/store"),
        WORKERS="1",
        MIN_FREE_SPACE="0",
        MAX_UNFINISHED_UPLOADS_PER_CLIENT="1000",
    )
    with Wire(server) as wire, server.client() as client:
        begun = []
        for number in range(400):
            answer = wire.ask(creation(number, 4))
            if answer.status != 201:
                break
            begun.append(answer.headers["Location"].removeprefix("http://files.example"))
        assert (answer.status, answer.code()) == (507, "storage-full")
        assert few_inodes() >= 2
        refused = wire.ask(request("PUT /upload/a.txt", body=b"text"))
        assert (refused.status, refused.code()) == (507, "storage-full")
        tus = Tus(client)
        assert tus.patch(begun[0], 0, b"text").status_code == 204
        for path in begun[1:4]:
            assert tus.delete(path).status_code == 204
        assert wire.ask(request("PUT /upload/a.txt", body=b"text")).status == 201


@pytest.mark.thorough
@pytest.mark.usefixtures("over_a_directory")
def test_a_start_does_not_wait_for_the_sweep_of_abandoned_uploads(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(WORKERS="1", FSYNC="false")
    uploads = server.store / ".fileservice/uploads"
    with Wire(server) as wire:
        assert wire.ask(creation(0)).status == 201
    (record_path,) = uploads.glob("*.json")
    record = record_path.read_text()

    def did_not_wait() -> bool:
        server.stop()
        server.clear()
        for path in uploads.iterdir():
            path.unlink()
        long_ago = time.time() - 2 * 86400
        for _ in range(LEFT_OVER):
            path = uploads / secrets.token_hex(16)
            for each, text in ((path, ""), (path.with_suffix(".json"), record)):
                each.write_text(text)
                os.utime(each, (long_ago, long_ago))
        server.start()
        with Wire(server) as wire:
            assert wire.ask(request("PUT /upload/a.txt", body=b"text")).status == 201
            left_then = len([*uploads.iterdir()])
            assert wire.ask(creation(1)).status == 201
        return left_then > LEFT_OVER  # of twice as many

    eventually(did_not_wait)  # this process may have to wait for a processor while they are removed
    eventually(lambda: len([*uploads.iterdir()]) == 3, 60)  # those of the one just begun
