"""More requests than the event loop has time for, on a disk that is fast enough."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving.servers import ConfiguredServer
from tests.support.wire import Answer, Wire, ask, eventually, request

LINE = b"a line of text that fills the file\n"
NOTHING = request("GET /nothing")
PROBE = request("GET /healthz")
COST = 0.03
"""Seconds, at least, for which every upload blocks the event loop."""
SECONDS = 5.0


def put(name: str) -> bytes:
    return request(f"PUT /upload/{name}.txt", body=LINE)


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.thorough)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConfiguredServer]:
    """A server with one worker or two, on which each upload blocks the event loop."""
    server = ConfiguredServer(
        {"STORE_URL": str(tmp_path / "store"), "MIN_FREE_SPACE": "0", "WORKERS": request.param},
        "import time",
        "_sleep = time.sleep",  # not gevent's: it blocks the loop as computing does
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


@pytest.fixture
def server_without_much_cpu(tmp_path: Path) -> Iterator[ConfiguredServer]:
    """A server with one worker, which has an eighth of a CPU, as others are busy on it."""
    cpu = min(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, [{cpu}])"
    server = ConfiguredServer(
        {"STORE_URL": str(tmp_path / "store"), "MIN_FREE_SPACE": "0"},
        "def post_worker_init(worker):",
        f"    {pin}",
        "    import time",
        "    from fileservice.storage.local.store import LocalStore",
        "    taken = LocalStore.is_taken",
        "    def slow(self, name):",
        "        until = time.thread_time() + 0.005",
        "        while time.thread_time() < until:",
        "            pass",
        "        return taken(self, name)",
        "    LocalStore.is_taken = slow",
    )
    busy = [sys.executable, "-c", f"{pin}\nwhile True: pass"]
    # The kernel may share the CPU among sessions rather than processes (sched(7), autogroups).
    others = [subprocess.Popen(busy, start_new_session=True) for _ in range(7)]
    try:
        yield server
    finally:
        for other in others:
            other.kill()
            other.wait()
        server.kill()


class Arrivals:
    """Uploads on connections of their own, at a fixed rate, whatever the responses are."""

    def __init__(self, server: ConfiguredServer, per_second: float) -> None:
        self.answers: list[tuple[float, Answer]] = []
        """Each with its duration in seconds."""
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
        """Return the sorted durations (seconds) of all responses with this status."""
        return sorted(seconds for seconds, answer in self.answers if answer.status == status)


def capacity(server: ConfiguredServer) -> float:
    """Return how many uploads the server stores in one second, if nothing holds it up."""
    return max(measured_capacity(server, attempt) for attempt in range(3))


def measured_capacity(server: ConfiguredServer, attempt: int) -> float:
    begun, count = time.monotonic(), 20

    def upload(number: int) -> int:
        return ask(server, put(f"measured-{attempt}-{number}")).status

    with ThreadPoolExecutor(4) as clients:
        assert set(clients.map(upload, range(count))) == {201}
    return count / (time.monotonic() - begun)


def test_beyond_capacity_the_excess_gets_503_early_and_the_rest_is_served_soon(
    server: ConfiguredServer,
) -> None:
    per_second = capacity(server)
    arrivals = Arrivals(server, 3 * per_second)
    stored, refused = arrivals.times(201), arrivals.times(503)
    assert len(stored) + len(refused) == len(arrivals.answers)
    # If none were refused, the last would wait for twice the time in which all arrive, and half of
    # them for longer than that time.
    assert max(refused) < 1.5 * SECONDS
    assert refused[len(refused) // 2] < 0.5 * SECONDS
    assert stored[len(stored) * 95 // 100] < SECONDS
    assert len(stored) > per_second * arrivals.seconds / 3
    answer = next(answer for _, answer in arrivals.answers if answer.status == 503)
    assert answer.code() == "busy"
    assert int(answer.headers["Retry-After"]) > 0
    assert ask(server, put("afterwards")).status == 201
    assert "requests are refused" in server.log()


def test_burst_of_requests_is_served_completely(server: ConfiguredServer) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(6)]
        for number, wire in enumerate(wires):
            wire.send(put(f"{number}"))
        assert [wire.answer().status for wire in wires] == [201] * 6


def test_requests_that_arrived_while_the_process_was_stopped_are_served(
    server: ConfiguredServer,
) -> None:
    for pid in server.workers():
        os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(3)]
        for number, wire in enumerate(wires):
            wire.send(put(f"{number}"))
        time.sleep(1.5)  # longer than requests may wait under overload
        for pid in server.workers():
            os.kill(pid, signal.SIGCONT)
        assert [wire.answer().status for wire in wires] == [201] * 3


def test_requests_on_kept_connections_get_503_too(server: ConfiguredServer) -> None:
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


@pytest.mark.thorough  # test_queueing.py has the rule
def test_requests_that_wait_because_other_processes_have_the_cpu_are_served(
    server_without_much_cpu: ConfiguredServer,
) -> None:
    """Twenty clients, whose requests the worker alone would serve within 0.1 s."""
    over = time.monotonic() + SECONDS

    def insist(client: int) -> set[int]:
        statuses = set()
        with Wire(server_without_much_cpu) as wire:
            number = 0
            while time.monotonic() < over:
                number += 1
                statuses.add(wire.ask(put(f"{client}-{number}")).status)
        return statuses

    with ThreadPoolExecutor(20) as clients:
        assert set().union(*clients.map(insist, range(20))) == {201}
