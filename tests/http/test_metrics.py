"""GET /metrics: the sums of all workers, of those that have died as well."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers import LiveServer
from tests.support.wire import Wire, eventually, request

TEXT = b"some text\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server of each test's own: what was done in others may be counted a little later."""
    server = LiveServer({"STORE_URL": str(tmp_path / "store"), "WORKERS": "2"})
    yield server
    server.kill()


def value(server: LiveServer, name: str, **of: str) -> float:
    """A sample of the metrics; 0 if there is none."""
    answer = httpx.get(f"{server.url}/metrics", timeout=30)
    assert answer.status_code == 200
    for family in text_string_to_metric_families(answer.text):
        for found, about, number, *_ in family.samples:
            if (found, about) == (f"fileservice_{name}", of):
                return number
    return 0


def test_counters_are_those_of_all_workers_and_survive_them(server: LiveServer) -> None:
    stored = {"route": "/upload/<name>", "method": "PUT", "status": "201"}
    before = value(server, "requests_total", **stored)
    for number in range(20):  # each by a connection of its own
        httpx.put(f"{server.url}/upload/{number}.txt", content=TEXT).raise_for_status()
    eventually(lambda: value(server, "requests_total", **stored) == before + 20)
    server.kill_workers()
    assert value(server, "requests_total", **stored) == before + 20
    httpx.put(f"{server.url}/upload/after.txt", content=TEXT).raise_for_status()
    eventually(lambda: value(server, "requests_total", **stored) == before + 21)
    eventually(lambda: value(server, "workers") == 2)


def test_an_upload_is_under_way_until_its_worker_is_killed(server: LiveServer) -> None:
    with Wire(server) as wire:
        wire.send(request("PUT /upload/half.txt", "Content-Length: 100") + TEXT)
        eventually(lambda: value(server, "transfers_under_way", direction="upload") == 1)
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: value(server, "transfers_under_way", direction="upload") == 0)


def test_bytes_of_an_upload_are_counted_while_they_arrive_and_once(server: LiveServer) -> None:
    route = {"route": "/upload/<name>"}
    stored = route | {"method": "PUT", "status": "201"}
    ended = value(server, "requests_total", **stored)
    before = value(server, "received_bytes_total", **route)
    with Wire(server) as wire:
        wire.send(request("PUT /upload/long.txt", f"Content-Length: {2 * len(TEXT)}") + TEXT)
        eventually(lambda: value(server, "received_bytes_total", **route) == before + len(TEXT))
        wire.send(TEXT)
        assert wire.answer().status == 201
    eventually(lambda: value(server, "requests_total", **stored) == ended + 1)
    # A row is counted number by number, while others read it.
    eventually(lambda: value(server, "received_bytes_total", **route) == before + 2 * len(TEXT))


def test_bytes_of_a_download_are_counted_while_they_are_sent_and_once(server: LiveServer) -> None:
    size = 64 << 20  # more than the buffers of a connection hold
    with (server.store / "long.bin").open("wb") as file:
        file.truncate(size)
    route = {"route": "/download/<name>"}
    sent = route | {"method": "GET", "status": "200"}
    ended = value(server, "requests_total", **sent)
    before = value(server, "sent_bytes_total", **route)
    with Wire(server) as wire:
        wire.send(request("GET /download/long.bin"))
        eventually(lambda: value(server, "sent_bytes_total", **route) > before)
        assert value(server, "transfers_under_way", direction="download") == 1
        assert len(wire.answer().body) == size
    eventually(lambda: value(server, "requests_total", **sent) == ended + 1)
    eventually(lambda: value(server, "sent_bytes_total", **route) == before + size)


def test_stages_and_calls_of_the_store_are_measured(server: LiveServer) -> None:
    httpx.put(f"{server.url}/upload/staged.txt", content=TEXT).raise_for_status()
    for stage in ("receive", "inspect", "hash", "sync", "publish"):
        eventually(lambda stage=stage: value(server, "upload_stage_seconds_count", stage=stage) > 0)
    # The metrics do not have it while a slow disk is measured.
    eventually(lambda: value(server, "store_free_bytes") > 0)
    assert value(server, "loop_wait_seconds_count") > 0


def test_no_name_of_a_file_is_in_the_metrics(server: LiveServer) -> None:
    httpx.put(f"{server.url}/upload/very-special-name.txt", content=TEXT)
    httpx.get(f"{server.url}/download/very-special-name.txt")
    httpx.get(f"{server.url}/very-special-path")
    httpx.request("very-special-method", f"{server.url}/download")
    eventually(
        lambda: value(server, "requests_total", route="other", method="GET", status="404") > 0
    )
    assert "special" not in httpx.get(f"{server.url}/metrics").text.lower()
