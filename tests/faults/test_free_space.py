"""MIN_FREE_SPACE holds for uploads of all kinds together, at the same time."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.disk import Disk
from tests.support.servers import LiveServer
from tests.support.tus import encoded
from tests.support.wire import Wire, ask, chunked, form, form_request, part, request

pytestmark = pytest.mark.usefixtures("over_a_directory")

MIB = 1 << 20
LINE = b"0123456789abcde\n"
DATA = LINE * (6 * MIB // len(LINE))
TUS = ("Tus-Resumable: 1.0.0", "Content-Type: application/offset+octet-stream")
SPARE = 40 * MIB
SLACK = 4 * MIB
"""Metadata, and 64 KiB of each upload under way for which no room is taken beforehand."""


def tus_creation(name: str, length: int, *fields: str, body: bytes = b"") -> bytes:
    return request(
        "POST /tus/",
        *TUS,
        f"Upload-Length: {length}",
        f"Upload-Metadata: filename {encoded(name)}",
        *fields,
        body=body,
    )


def of_undeclared_length(asked: bytes) -> bytes:
    head, _, body = asked.partition(b"\r\n\r\n")
    fields = [f for f in head.split(b"\r\n") if not f.lower().startswith(b"content-length")]
    return b"\r\n".join([*fields, b"Transfer-Encoding: chunked", b"", chunked(body)])


WAYS: dict[str, Callable[[str], bytes]] = {
    "declared": lambda name: request(f"PUT /upload/{name}", body=DATA),
    "chunked": lambda name: of_undeclared_length(request(f"PUT /upload/{name}", body=DATA)),
    "form": lambda name: form_request(form(part("file", DATA, name))),
    "chunked form": lambda name: of_undeclared_length(form_request(form(part("file", DATA, name)))),
    "tus": lambda name: tus_creation(name, len(DATA), body=DATA),
    "draft": lambda name: request(f"PUT /upload/{name}", "Upload-Complete: ?0", body=DATA),
    "tiny": lambda name: request(f"PUT /upload/{name}", body=LINE),
}


@contextlib.contextmanager
def least_free(disk: Disk) -> Iterator[list[int]]:
    """The least that is free at any moment meanwhile, as the one element."""
    least, over = [free(disk)], threading.Event()

    def watch() -> None:
        while not over.wait(0.0005):
            least[0] = min(least[0], free(disk))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield least
    finally:
        over.set()
        watcher.join(30)


def free(disk: Disk) -> int:
    status = os.statvfs(disk.path)
    return status.f_bavail * status.f_frsize


def status_of(server: LiveServer, asked: bytes, halfway: threading.Barrier) -> int:
    """Send a request, its second half when all others are there too; the status of its answer."""
    with Wire(server) as wire:
        try:
            wire.send(asked[: len(asked) // 2])
            with contextlib.suppress(threading.BrokenBarrierError):
                halfway.wait(30)
            wire.send(asked[len(asked) // 2 :])
        except ConnectionError:  # it was refused before its end
            halfway.abort()
        return wire.answer().status


@pytest.fixture
def server(disk: Disk, start_server: Callable[..., LiveServer]) -> LiveServer:
    return start_server(
        STORE_URL=str(disk.path / "store"),
        WORKERS="2",
        MIN_FREE_SPACE=str(free(disk) - SPARE),
        FSYNC="false",  # the sooner they are all there
    )


@pytest.mark.parametrize(
    "way", [*(pytest.param(way, marks=pytest.mark.thorough) for way in WAYS), "all"]
)
def test_simultaneous_uploads_leave_the_minimum_of_free_space(
    server: LiveServer, disk: Disk, way: str
) -> None:
    to_stay_free = free(disk) - SPARE
    ways = [WAYS[way]] * 24 if way in WAYS else [*WAYS.values()] * 4
    requests = [one(f"{number}.txt") for number, one in enumerate(ways)]
    halfway = threading.Barrier(len(requests))
    with least_free(disk) as least, ThreadPoolExecutor(len(requests)) as clients:
        statuses = list(clients.map(lambda asked: status_of(server, asked, halfway), requests))
    assert least[0] >= to_stay_free - SLACK
    assert set(statuses) <= {201, 507}
    assert (507 in statuses) == (way != "tiny")
    assert sum(path.stat().st_size for path in server.store.iterdir()) > SPARE / 8 or way in (
        "tiny",
        "draft",  # these are not published yet
    )


def test_concatenations_leave_the_minimum_of_free_space(server: LiveServer, disk: Disk) -> None:
    to_stay_free = free(disk) - SPARE
    parts = [
        ask(server, tus_creation("a.txt", len(DATA), "Upload-Concat: partial", body=DATA))
        for _ in range(4)
    ]
    urls = [answer.headers["Location"] for answer in parts]
    concat = [
        request(
            "POST /tus/",
            TUS[0],
            f"Upload-Metadata: filename {encoded(f'{number}.txt')}",
            f"Upload-Concat: final;{urls[2 * number]} {urls[2 * number + 1]}",
            body=b"",
        )
        for number in range(2)
    ]
    with least_free(disk) as least, ThreadPoolExecutor(2) as clients:
        statuses = list(clients.map(lambda asked: ask(server, asked).status, concat))
    assert least[0] >= to_stay_free - SLACK
    assert 201 in statuses
    assert set(statuses) <= {201, 507}  # by when the parts of the first are gone


@pytest.mark.thorough
def test_a_file_that_fits_is_stored_and_takes_no_more_space_than_its_bytes(
    server: LiveServer, disk: Disk
) -> None:
    before = free(disk)
    data = LINE * ((SPARE - SLACK) // len(LINE))
    for asked in (
        request("PUT /upload/a.txt", body=data),
        of_undeclared_length(request("PUT /upload/a.txt", body=data)),
        form_request(form(part("file", data, "a.txt"))),
        tus_creation("a.txt", len(data), body=data),
    ):
        assert ask(server, asked).status == 201
        stored = server.store / "a.txt"
        assert stored.stat().st_blocks * 512 <= len(data) + MIB
        stored.unlink()
        assert free(disk) >= before - MIB
