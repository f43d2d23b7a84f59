"""RedisCounters, with a real Redis server: counters of several services, and its outages."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import limits
import pytest

from fileservice.access import (
    Limits,
    RateLimit,
    TooManyFailures,
    TooManyRequests,
    Unauthenticated,
    open_limits,
    redis_counters,
)
from tests.access.processes import in_threads
from tests.support.redis import PASSWORD, RedisServer

Service = Callable[[str], Limits]
RATE = RateLimit((limits.parse("50/hour"),), (limits.parse("1000/hour"),))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def longer_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Redis that is only slow count; there would be two counts otherwise."""
    monkeypatch.setattr(redis_counters, "_TIMEOUT", 60.0)


@pytest.fixture
def service() -> Iterator[Service]:
    """Open the limits of one of several services that use the Redis of a URL."""
    opened: list[Limits] = []

    def open_one(url: str) -> Limits:
        opened.append(open_limits(1, limits.parse("5/hour"), RATE, url))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def admitted(service: Limits, tries: int = 1, client: str = "token:a") -> int:
    count = 0
    for _ in range(tries):
        with contextlib.suppress(TooManyRequests):
            assert service.rate
            service.rate.admit(client)
            count += 1
    return count


def failed(service: Limits) -> int:
    assert service.failures
    try:
        with service.failures.attempt("192.0.2.1", "wrong"):
            raise Unauthenticated
    except TooManyFailures:
        return 429
    except Unauthenticated:
        return 401


def test_requests_to_several_services_count_in_sum(redis: RedisServer, service: Service) -> None:
    one, other = service(redis.url), service(redis.url)
    assert admitted(one, 30) + admitted(other, 30) == 50
    assert admitted(other, client="token:b") == 1
    assert other.rate
    with pytest.raises(TooManyRequests) as raised:
        other.rate.admit("token:a")
    assert 3500 < raised.value.retry_after <= 3600


def test_threads_of_several_services_that_race_never_pass_a_limit_more_often_than_it_allows(
    redis: RedisServer,
    service: Service,
) -> None:
    services = [service(redis.url) for _ in range(8)]
    assert sum(in_threads(8, lambda: admitted(services.pop(), 50))) == 50


def test_bytes_of_several_services_count_in_sum(redis: RedisServer, service: Service) -> None:
    one, other = service(redis.url), service(redis.url)
    for each in (one, other):
        assert admitted(each) == 1
        assert each.rate
        meter = each.rate.meter("token:a")
        assert meter
        meter.count(500)
        meter.flush()
    assert [admitted(one), admitted(other)] == [0, 0]


def test_failures_at_several_services_count_in_sum(redis: RedisServer, service: Service) -> None:
    one, other = service(redis.url), service(redis.url)
    assert [failed(one) for _ in range(5)] == [401] * 5
    assert failed(other) == 429, "it was checked here, and the answer does not say so"
    assert failed(other) == 429


def test_without_redis_each_service_counts_alone_and_says_so_once(
    redis: RedisServer, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = service(redis.url), service(redis.url)
    assert admitted(one) == 1
    redis.stop()

    assert [admitted(one, 60), admitted(other, 60)] == [50, 50]
    assert [failed(one) for _ in range(6)] == [401] * 5 + [429]

    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert str(redis.port) in caplog.text
    assert PASSWORD not in caplog.text


def test_redis_is_used_again_when_it_answers_again(
    redis: RedisServer,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_counters, "_RETRY_SECONDS", 0.0)
    one = service(redis.url)
    redis.stop()
    assert admitted(one, 5) == 5
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    redis.start()

    assert admitted(one, 60) == 50
    assert admitted(service(redis.url)) == 0
    assert "answers again" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_redis_that_does_not_answer_is_waited_for_once(
    redis: RedisServer, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_counters, "_TIMEOUT", 3.0)
    one = service(redis.url)
    assert admitted(one) == 1
    redis.suspend()
    began = time.monotonic()
    assert admitted(one, 50) == 50
    # All of them would have to wait 25 times as long as one.
    assert time.monotonic() - began < 50 * redis_counters._TIMEOUT / 2


def test_wrong_password_is_logged_without_it(
    redis: RedisServer, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    one = service(redis.url.replace(PASSWORD, "another-secret"))
    assert admitted(one) == 1
    assert "AuthenticationError" in caplog.text
    assert "another-secret" not in caplog.text


def test_redis_that_was_never_reachable_does_not_stop_the_start(
    redis: RedisServer, service: Service
) -> None:
    redis.stop()
    assert admitted(service(redis.url)) == 1
