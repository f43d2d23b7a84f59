"""When the client tries again."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fileservice.client import Retries, Unavailable
from fileservice.client.retries import retry_after


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
