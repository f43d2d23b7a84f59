"""More requests than the event loop has time for, whatever the disk could do."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving.rig import TunedServer
from tests.support.wire import Answer, Wire, ask, eventually, request

LINE = b"a line of text that fills the file\n"
NOTHING = request("GET /nothing")
PROBE = request("GET /healthz")
COST = 0.03
"""Seconds for which every upload keeps the event loop busy, at the least."""
SECONDS = 4.0


def put(name: str) -> bytes:
    return request(f"PUT /upload/{name}.txt", body=LINE)


@pytest.fixture(params=["1", "2"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TunedServer]:
    """A server with one worker or two, in which uploads cost processor time."""
    server = TunedServer(
        {"STORE_URL": str(tmp_path / "store"), "MIN_FREE_SPACE": "0", "WORKERS": request.param},
        "import time",
        "_sleep = time.sleep",  # that of before gevent's, which stops the loop as computing does
        "def post_worker_init(worker):",
        "    from fileservice.storage.local.store import LocalStore",
        "    taken = LocalStore.is_taken",
        "    def slow(self, name):",
        f"        _sleep({COST})",
        "        return taken(self, name)",
        "    LocalStore.is_taken = slow",
    )
    yield server
    server.kill()


class Arrivals:
    """Uploads that come on connections of their own, at their own pace, whatever is answered."""

    def __init__(self, server: TunedServer, per_second: float) -> None:
        self.answers: list[tuple[float, Answer]] = []
        """Each with the seconds that it took."""
        self._server = server
        count = int(per_second * SECONDS)
        with ThreadPoolExecutor(count) as clients:
            begun = time.monotonic()
            for number in range(count):
                time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
                clients.submit(self._ask, number)
        self.seconds = time.monotonic() - begun
        assert len(self.answers) == count

    def _ask(self, number: int) -> None:
        begun = time.monotonic()
        answer = ask(self._server, put(f"{number}"))
        self.answers.append((time.monotonic() - begun, answer))

    def times(self, status: int) -> list[float]:
        """The seconds of all answers with this status, in order."""
        return sorted(seconds for seconds, answer in self.answers if answer.status == status)


def capacity(server: TunedServer) -> float:
    """Uploads that it can take in one second."""
    begun, count = time.monotonic(), 20

    def upload(number: int) -> int:
        return ask(server, put(f"measured-{number}")).status

    with ThreadPoolExecutor(4) as clients:
        assert set(clients.map(upload, range(count))) == {201}
    return count / (time.monotonic() - begun)


def test_past_the_capacity_the_excess_is_refused_early_and_the_rest_served_soon(
    server: TunedServer,
) -> None:
    taken_in_a_second = capacity(server)
    came = Arrivals(server, 3 * taken_in_a_second)
    taken, refused = came.times(201), came.times(503)
    assert len(taken) + len(refused) == len(came.answers)
    # With nobody refused, the last of them would have waited for twice the time that all came in.
    assert max(refused) < SECONDS
    assert refused[len(refused) // 2] < SECONDS / 4
    assert taken[len(taken) * 95 // 100] < SECONDS / 2
    assert len(taken) > taken_in_a_second * came.seconds / 3
    answer = next(answer for _, answer in came.answers if answer.status == 503)
    assert answer.code() == "busy"
    assert int(answer.headers["Retry-After"]) > 0
    assert ask(server, put("afterwards")).status == 201
    assert "requests are refused" in server.log()


def test_a_burst_is_served_whole(server: TunedServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(6)]
        for number, wire in enumerate(wires):
            wire.send(put(f"{number}"))
        assert [wire.answer().status for wire in wires] == [201] * 6


def test_a_process_that_stood_still_serves_what_came_meanwhile(server: TunedServer) -> None:
    for pid in server.workers():
        os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(3)]
        for number, wire in enumerate(wires):
            wire.send(put(f"{number}"))
        time.sleep(1.5)  # longer than requests may wait while there is more than can be done
        for pid in server.workers():
            os.kill(pid, signal.SIGCONT)
        assert [wire.answer().status for wire in wires] == [201] * 3


def test_connections_that_are_kept_are_refused_requests_as_well(server: TunedServer) -> None:
    over = threading.Event()
    statuses: Counter[int] = Counter()

    def insist(client: int) -> None:
        with Wire(server) as wire:
            number = 0
            while not over.is_set():
                number += 1
                statuses[wire.ask(put(f"{client}-{number}")).status] += 1

    with ThreadPoolExecutor(100) as clients:
        asking = [clients.submit(insist, client) for client in range(100)]
        try:
            eventually(lambda: statuses[503], 30)
            health = ask(server, PROBE)
        finally:
            over.set()
        for each in asking:
            each.result()
    assert health.status == 200
    assert set(statuses) == {201, 503}
    eventually(lambda: ask(server, NOTHING).status == 404)
