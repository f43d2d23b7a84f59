"""What requests cost, in system calls of the worker, which do not depend on what else runs.

The bounds are what was counted when they were written, and about a tenth more. Lower them when a
request becomes cheaper, so that what was won is not lost unnoticed. Those of calls that wait are
many times as high: how often a thread waits for another one depends on what else runs.
"""

import itertools
import statistics
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.serving.servers import ConfiguredServer
from tests.support.system_calls import counted
from tests.support.wire import Wire, chunked, request

MIB = 1 << 20
KIB = b"0123456789abcde\n" * 64
LARGE = 32 * MIB
REQUESTS = 20
WARM_UP = 5


_WAITS = {
    "epoll_ctl", "epoll_wait", "futex", "getpid", "getppid", "getsockopt", "madvise", "mprotect",
    "mmap", "munmap", "poll", "read", "recvfrom", "sched_yield", "total", "utimensat",
}  # fmt: skip
"""Calls whose number depends on when bytes arrive, on which thread is first, or on the time."""


@dataclass
class Kind:
    """A kind of request, the status of its answers, and how many calls each of them may cost.

    {} in the line is the number of the request.
    """

    line: str
    status: int
    calls: float
    """System calls but for those that wait."""
    futex: float
    """Those for which a thread may wait for another one."""
    fields: tuple[str, ...] = ()
    body: bytes | None = None

    def request(self, number: int) -> bytes:
        return request(self.line.format(number), *self.fields, body=self.body)


KINDS = {
    "GET 1 KiB": Kind("GET /download/small.txt", 200, 10, 20),
    "HEAD": Kind("HEAD /download/small.txt", 200, 9, 20),
    "404": Kind("GET /download/absent.txt", 404, 4, 20),
    "304": Kind("GET /download/small.txt", 304, 9, 20, ("If-None-Match: *",)),
    "range": Kind("GET /download/small.txt", 206, 10, 20, ("Range: bytes=9-99",)),
    "page of 100": Kind("GET /download?limit=100", 200, 1150, 600),
    "PUT 1 KiB": Kind("PUT /upload/{}.txt", 201, 21, 800, body=KIB),
    "PUT 100 KiB": Kind("PUT /upload/{}.txt", 201, 22, 800, body=100 * KIB),
}


# A sweep costs a dozen calls every five seconds, in which twenty requests may not have ended.
WITHOUT_SWEEPS = "import fileservice.web.expiry_sweeper as _sweeper; _sweeper._INTERVAL = 3600.0"


@pytest.fixture
def server(root: None, start_server: Callable[..., ConfiguredServer]) -> ConfiguredServer:
    server = start_server(WITHOUT_SWEEPS)
    for number in range(200):
        (server.store / f"file-{number:03}.txt").write_bytes(KIB)
    server.put("small.txt", KIB)
    return server


CountCalls = Callable[[ConfiguredServer], AbstractContextManager[Counter[str]]]


@pytest.fixture
def count_calls(tool: Callable[[str], str], tmp_path: Path) -> CountCalls:
    """Return what counts the system calls of a server's worker during a block; see `counted`."""

    def count(server: ConfiguredServer) -> AbstractContextManager[Counter[str]]:
        (pid,) = server.workers()
        return counted(tool("strace"), pid, tmp_path / "calls")

    return count


@pytest.mark.parametrize(
    "name",
    [pytest.param(kind, marks=pytest.mark.thorough) if "page" in kind else kind for kind in KINDS],
)
def test_a_small_request_costs_few_system_calls(
    count_calls: CountCalls, server: ConfiguredServer, name: str
) -> None:
    kind = KINDS[name]
    numbers = itertools.count()
    with Wire(server) as wire:
        for _ in range(WARM_UP):
            assert wire.ask(kind.request(next(numbers))).status == kind.status
        with count_calls(server) as calls:
            for _ in range(REQUESTS):
                assert wire.ask(kind.request(next(numbers))).status == kind.status
    work = {call: count for call, count in calls.items() if call not in _WAITS}
    assert sum(work.values()) <= kind.calls * REQUESTS, work
    assert calls["futex"] <= kind.futex * REQUESTS, calls


def test_the_body_of_an_upload_is_written_in_few_large_pieces(
    count_calls: CountCalls, server: ConfiguredServer
) -> None:
    with Wire(server) as wire:
        assert wire.ask(request("PUT /upload/first.txt", body=KIB)).status == 201
        with count_calls(server) as calls:
            body = KIB * (LARGE // len(KIB))
            assert wire.ask(request("PUT /upload/large.txt", body=body)).status == 201
    assert calls["write"] <= 2 * LARGE / MIB, calls
    assert calls["futex"] <= 200 * LARGE / MIB, calls


def test_a_chunked_body_is_received_in_few_large_pieces(
    count_calls: CountCalls, server: ConfiguredServer
) -> None:
    with Wire(server) as wire:
        assert wire.ask(request("PUT /upload/first.txt", body=KIB)).status == 201
        with count_calls(server) as calls:
            body = chunked(*[KIB * 64] * (LARGE // len(KIB * 64)))
            answer = wire.ask(
                request("PUT /upload/large.txt", "Transfer-Encoding: chunked", body=body)
            )
            assert answer.status == 201
    assert calls["write"] <= 2 * LARGE / MIB, calls
    assert calls["futex"] <= 200 * LARGE / MIB, calls


def test_a_patch_of_tus_costs_few_system_calls(
    root: None, count_calls: CountCalls, start_server: Callable[..., ConfiguredServer]
) -> None:
    server = start_server(WITHOUT_SWEEPS, FSYNC="true")
    with Wire(server) as wire:
        size = (WARM_UP + REQUESTS + 1) * len(KIB)
        creation = ("Tus-Resumable: 1.0.0", f"Upload-Length: {size}", "Content-Length: 0",
                    "Upload-Metadata: filename YS50eHQ=")  # fmt: skip
        location = wire.ask(request("POST /tus/", *creation)).headers["Location"]
        path = urlsplit(location).path

        def append(number: int) -> None:
            fields = ("Tus-Resumable: 1.0.0", f"Upload-Offset: {number * len(KIB)}",
                      "Content-Type: application/offset+octet-stream")  # fmt: skip
            assert wire.ask(request(f"PATCH {path}", *fields, body=KIB)).status == 204

        for number in range(WARM_UP):
            append(number)
        with count_calls(server) as calls:
            for number in range(WARM_UP, WARM_UP + REQUESTS):
                append(number)
    work = {call: count for call, count in calls.items() if call not in _WAITS}
    assert sum(work.values()) <= 70 * REQUESTS, work
    # One write stores the bytes; with each of the others, a thread wakes the event loop at its end.
    assert calls["write"] <= 5.5 * REQUESTS, work
    assert calls["futex"] <= 1200 * REQUESTS, calls


def test_the_buffers_of_a_body_are_used_again_for_the_next_one(server: ConfiguredServer) -> None:
    """The kernel clears no pages for them, but for those of bodies after the heap was trimmed."""
    body = KIB * (8 * MIB // len(KIB))
    faults = []
    with Wire(server) as wire:
        for number in range(WARM_UP + REQUESTS):
            before = page_faults(server)
            assert wire.ask(request(f"PUT /upload/{number}.txt", body=body)).status == 201
            faults.append(page_faults(server) - before)
    assert statistics.median(faults[WARM_UP:]) <= 100, faults


def page_faults(server: ConfiguredServer) -> int:
    """The number of pages that the kernel has given to the worker so far (proc(5))."""
    (pid,) = server.workers()
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def test_the_body_of_a_download_is_sent_by_the_kernel(
    count_calls: CountCalls, server: ConfiguredServer
) -> None:
    server.put("large.txt", KIB * (LARGE // len(KIB)))
    with Wire(server) as wire:
        assert wire.ask(request("GET /download/small.txt")).status == 200
        with count_calls(server) as calls:
            assert len(wire.ask(request("GET /download/large.txt")).body) == LARGE
    assert calls["sendfile"] >= 1
    copies = ("read", "pread64", "sendto", "write", "sendmsg", "writev")
    assert sum(calls[name] for name in copies) <= 10, calls
