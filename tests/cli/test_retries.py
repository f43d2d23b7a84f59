"""When the client tries again."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fileservice.client import Retries, Unavailable
from fileservice.client.retries import retry_after
from tests.cli.clients import Person


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wait was, on a clock that only waiting moves."""
    waits: list[float] = []
    begin = time.monotonic()
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(time, "monotonic", lambda: begin + sum(waits))
    return waits


def fail(retry_after: float | None = None) -> None:
    raise Unavailable("the service does not answer", retry_after)


def test_waits_become_longer_until_the_time_is_over(waits: list[float]) -> None:
    with pytest.raises(Unavailable):
        Retries(300).call(fail)
    assert waits[0] < 0.5
    assert 8 < max(waits) <= 30
    assert 230 < sum(waits) <= 300


def test_progress_begins_the_time_anew(waits: list[float]) -> None:
    retries = Retries(10)
    for _ in range(20):
        retries.wait(Unavailable("x"))
        retries.wait(Unavailable("x"))
        retries.start_again()
    assert sum(waits) > 10
    assert max(waits) < 1


def test_service_is_not_asked_before_the_time_that_it_says(waits: list[float]) -> None:
    Retries(300).wait(Unavailable("x", retry_after=42))
    assert waits == [42]


def test_time_that_the_service_says_may_be_too_long(waits: list[float]) -> None:
    with pytest.raises(Unavailable):
        Retries(30).wait(Unavailable("x", retry_after=42))
    assert waits == []


def test_retry_after_is_a_number_or_a_date() -> None:
    in_a_minute = datetime.now(UTC) + timedelta(minutes=1)
    assert retry_after("7") == 7
    assert 50 < (retry_after(format_datetime(in_a_minute, usegmt=True)) or 0) <= 60
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    for value in (None, "", "soon", "-1"):
        assert retry_after(value) is None


@pytest.fixture
def gateway() -> Iterator[HTTPServer]:
    """Return a server that answers with the status that is in the path."""

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            self.send_response(int(self.path.rpartition("/")[2].removesuffix(".txt")))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "exit_status"), [(520, 7), (524, 7), (525, 1), (418, 1)])
def test_statuses_that_only_a_gateway_uses_are_understood(
    gateway: HTTPServer, tmp_path: Path, status: int, exit_status: int
) -> None:
    person = Person(f"http://127.0.0.1:{gateway.server_port}", tmp_path)
    done = person.run("rm", f"{status}.txt", "--retry-for", "0s")
    assert done.returncode == exit_status, done.stderr
    assert f"the answer was {status}" in done.stderr
