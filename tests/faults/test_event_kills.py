"""Workers and masters that are killed while files are uploaded: no event is lost."""

import secrets
import threading
from collections.abc import Callable

import httpx
import pytest

from tests.support.receiver import receiver
from tests.support.servers import LiveServer
from tests.support.wire import eventually


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.thorough)])
def test_every_acknowledged_upload_is_reported_whoever_is_killed(
    start_server: Callable[..., LiveServer], rounds: int
) -> None:
    with receiver() as running:
        server = start_server(**running.settings, WORKERS="2")
        acknowledged: list[str] = []
        is_over = threading.Event()

        def upload() -> None:
            with httpx.Client(timeout=30) as client:
                while not is_over.is_set():
                    name = f"{secrets.token_hex(8)}.txt"
                    try:
                        answer = client.put(f"{server.url}/upload/{name}", content=b"text\n")
                    except httpx.TransportError:
                        continue
                    if answer.status_code == 201:
                        acknowledged.append(name)

        threads = [threading.Thread(target=upload) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(rounds):
                enough = len(acknowledged) + 7 + 3 * number % 10
                eventually(lambda enough=enough: len(acknowledged) >= enough)
                if number % 3 == 2:
                    server.kill()
                    server.start()
                else:
                    server.kill_workers()
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        # Those of a process that was killed are looked at after ten seconds.
        eventually(
            lambda: set(acknowledged) <= {received.name for received in running.requests}, 90
        )
        reported = {received.name for received in running.requests}
        assert reported <= set(server.published())
        assert len({received.id for received in running.requests}) == len(reported)


@pytest.mark.thorough
def test_two_services_over_one_store_report_each_upload_once(
    start_server: Callable[..., LiveServer],
) -> None:
    with receiver() as running:
        first = start_server(**running.settings)
        second = start_server(**running.settings, STORE_URL=first.store_url)
        names = [f"{number}-{secrets.token_hex(8)}.txt" for number in range(10)]
        for number, name in enumerate(names):
            url = (first, second)[number % 2].url
            assert httpx.put(f"{url}/upload/{name}", content=b"text\n").status_code == 201
        for name in names:
            running.wait_for(name)
        # An event that was received and is still in the queue would be sent once more.
        eventually(lambda: not list((first.store / ".fileservice/events").iterdir()))
        last = f"{secrets.token_hex(8)}.txt"
        first.kill()
        httpx.put(f"{second.url}/upload/{last}", content=b"text\n")
        running.wait_for(last)
        assert len(running.requests) == len(names) + 1
