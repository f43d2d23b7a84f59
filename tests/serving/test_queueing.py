"""When a queue counts as overloaded: the rule of CoDel (RFC 8289), with a clock of the test."""

import pytest

from fileservice.serving import queueing
from fileservice.serving.queueing import FEW_REQUESTS, QueueMonitor
from tests.support.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(queueing, "time", clock)
    return clock


def take(
    monitor: QueueMonitor, clock: Clock, waited: float, seconds: float, requests: int = 1000
) -> list[bool]:
    """Take a request that has waited for so long every tenth of a second."""
    overdue = []
    for _ in range(round(seconds * 10)):
        clock.now += 0.1
        overdue.append(monitor.is_overdue(waited, requests))
    return overdue


def test_short_waits_are_never_overdue(clock: Clock) -> None:
    assert not any(take(QueueMonitor(), clock, waited=0.2, seconds=60))


def test_burst_that_ends_within_a_second_is_not_overdue(clock: Clock) -> None:
    monitor = QueueMonitor()
    for _ in range(10):
        assert not any(take(monitor, clock, waited=0.5, seconds=0.9))
        assert not any(take(monitor, clock, waited=0.1, seconds=0.2))


def test_long_waits_are_overdue_once_they_have_lasted_for_a_second(clock: Clock) -> None:
    overdue = take(QueueMonitor(), clock, waited=0.5, seconds=3)
    assert not any(overdue[:10])
    assert all(overdue[12:])


def test_under_overload_only_long_waits_are_overdue(clock: Clock) -> None:
    monitor = QueueMonitor()
    take(monitor, clock, waited=0.5, seconds=3)
    assert take(monitor, clock, waited=0.1, seconds=0.1) == [False]
    assert take(monitor, clock, waited=0.5, seconds=0.1) == [True]


def test_overload_ends_after_a_second_of_short_waits(clock: Clock) -> None:
    monitor = QueueMonitor()
    take(monitor, clock, waited=0.5, seconds=3)
    take(monitor, clock, waited=0.1, seconds=1.2)
    assert not any(take(monitor, clock, waited=0.5, seconds=0.9))


def test_long_wait_after_an_empty_queue_is_not_overdue(clock: Clock) -> None:
    """A process that was stopped for a while finds requests that have waited for it."""
    monitor = QueueMonitor()
    assert not monitor.is_overdue(0.5, 1000)
    clock.now += 30
    assert not monitor.is_overdue(20, 1000)


def test_long_waits_of_few_requests_are_not_overdue(clock: Clock) -> None:
    monitor = QueueMonitor()
    assert not any(take(monitor, clock, waited=3.0, seconds=60, requests=FEW_REQUESTS))
    assert take(monitor, clock, waited=3.0, seconds=0.1, requests=FEW_REQUESTS + 1) == [True]
