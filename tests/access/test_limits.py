"""Limits of requests, bytes and failed attempts, as one service counts them."""

from collections.abc import Callable

import limits
import pytest

from fileservice.access import (
    Limits,
    RateLimit,
    TooManyFailures,
    TooManyRequests,
    Unauthenticated,
    open_limits,
)
from fileservice.access.limits import FailureLimiter, RateLimiter
from fileservice.addresses import client_key
from tests.access.processes import in_threads
from tests.support.rows import every_row
from tests.support.wire import eventually

RIGHT, WRONG = "Bearer right", "Bearer wrong"


def opened(failures: str = "3/hour", requests: str = "", of_bytes: str = "") -> Limits:
    rate = RateLimit(
        tuple(limits.parse_many(requests)) if requests else (),
        tuple(limits.parse_many(of_bytes)) if of_bytes else (),
    )
    return open_limits(1, limits.parse(failures), rate, None)


def failure_limiter(limit: str) -> FailureLimiter:
    limiter = opened(limit).failures
    assert limiter
    return limiter


def rate_limiter(requests: str = "", of_bytes: str = "") -> RateLimiter:
    limiter = opened(requests=requests, of_bytes=of_bytes).rate
    assert limiter
    return limiter


def outcome(limiter: FailureLimiter, credentials: str, client: str = "192.0.2.1") -> int:
    """The status that an attempt leads to, negative if the credentials were not checked."""
    checked = False
    try:
        with limiter.attempt(client, credentials):
            checked = True
            if credentials != RIGHT:
                raise Unauthenticated
    except TooManyFailures:
        return 429 if checked else -429
    except Unauthenticated:
        return 401
    return 200


class TestFailures:
    def test_credentials_are_not_checked_after_too_many_were_wrong(self) -> None:
        limiter = failure_limiter("3/hour")
        assert [outcome(limiter, f"guess {n}") for n in range(3)] == [401, 401, 401]
        assert outcome(limiter, "guess 3") == -429
        assert outcome(limiter, RIGHT) == -429, "a right guess must look like a wrong one"

    def test_error_says_when_the_window_ends(self) -> None:
        limiter = failure_limiter("1/hour")
        outcome(limiter, WRONG)
        with pytest.raises(TooManyFailures) as raised, limiter.attempt("192.0.2.1", WRONG):
            pass
        assert 3590 < raised.value.retry_after <= 3600

    @every_row(
        ("client", "said"), [("192.0.2.1", "from this address"), ("link:abc", "by this link")]
    )
    def test_error_says_whose_credentials_were_wrong(self, client: str, said: str) -> None:
        limiter = failure_limiter("1/hour")
        outcome(limiter, WRONG, client)
        with pytest.raises(TooManyFailures, match=said), limiter.attempt(client, WRONG):
            pass

    def test_credentials_that_were_right_before_are_accepted_while_others_guess(self) -> None:
        limiter = failure_limiter("3/hour")
        assert outcome(limiter, RIGHT) == 200
        for number in range(10):
            outcome(limiter, f"guess {number}")
        assert outcome(limiter, RIGHT) == 200
        assert outcome(limiter, RIGHT, "192.0.2.2") == 200

    def test_credentials_that_were_right_at_one_address_are_unknown_at_another(self) -> None:
        limiter = failure_limiter("1/hour")
        assert outcome(limiter, RIGHT, "192.0.2.1") == 200
        outcome(limiter, WRONG, "192.0.2.2")
        assert outcome(limiter, RIGHT, "192.0.2.2") == -429

    def test_credentials_that_are_not_right_any_more_are_checked_once(self) -> None:
        limiter = failure_limiter("1/hour")
        with limiter.attempt("192.0.2.1", "revoked"):
            pass
        outcome(limiter, WRONG)
        assert outcome(limiter, "revoked") == 429
        assert outcome(limiter, "revoked") == -429

    def test_other_addresses_are_not_affected(self) -> None:
        limiter = failure_limiter("1/hour")
        assert outcome(limiter, WRONG) == 401
        assert outcome(limiter, WRONG) == -429
        assert outcome(limiter, WRONG, "192.0.2.2") == 401

    def test_all_addresses_of_one_ipv6_network_count_together(self) -> None:
        limiter = failure_limiter("1/hour")
        assert outcome(limiter, WRONG, client_key("2001:db8::1")) == 401
        assert outcome(limiter, WRONG, client_key("2001:db8::ffff:2")) == -429
        assert outcome(limiter, WRONG, client_key("2001:db8:0:1::1")) == 401

    def test_window_ends_also_if_attempts_continue(self) -> None:
        limiter = failure_limiter("1/second")
        assert outcome(limiter, WRONG) == 401
        eventually(lambda: outcome(limiter, RIGHT) == 200)

    def test_right_credentials_do_not_count(self) -> None:
        limiter = failure_limiter("1/hour")
        assert [outcome(limiter, RIGHT) for _ in range(5)] == [200] * 5
        assert outcome(limiter, WRONG) == 401

    def test_other_errors_do_not_count(self) -> None:
        limiter = failure_limiter("1/hour")
        for _ in range(3):
            with pytest.raises(OSError), limiter.attempt("192.0.2.1", WRONG):
                raise OSError
        assert outcome(limiter, WRONG) == 401

    def test_threads_that_race_get_no_more_failures_than_allowed(self) -> None:
        limiter = failure_limiter("20/hour")
        failures = in_threads(8, lambda: [outcome(limiter, WRONG) for _ in range(20)].count(401))
        assert sum(failures) == 20

    def test_many_credentials_that_are_right_are_all_remembered(self) -> None:
        limiter = failure_limiter("1/hour")
        for number in range(3000):
            with limiter.attempt("192.0.2.1", f"right {number}"):
                pass
        outcome(limiter, WRONG)
        for number in range(3000):
            with limiter.attempt("192.0.2.1", f"right {number}"):
                pass


def answered(admit: Callable[[], None]) -> bool:
    try:
        admit()
    except TooManyRequests:
        return False
    return True


class TestRequests:
    def test_requests_past_the_limit_are_refused_with_the_time_to_wait(self) -> None:
        limiter = rate_limiter("2/hour")
        limiter.admit("token:a")
        limiter.admit("token:a")
        with pytest.raises(TooManyRequests) as raised:
            limiter.admit("token:a")
        assert 3590 < raised.value.retry_after <= 3600
        limiter.admit("token:b")

    def test_retry_after_is_exact(self) -> None:
        limiter = rate_limiter("1/second")
        waits: list[int] = []

        def is_refused() -> bool:
            try:
                limiter.admit("a")
            except TooManyRequests as error:
                waits.append(error.retry_after)
            return bool(waits)

        eventually(is_refused)  # the second may pass between two requests
        assert waits == [1]
        eventually(lambda: answered(lambda: limiter.admit("a")))

    def test_what_a_short_window_refuses_does_not_use_up_a_long_one(self) -> None:
        limiter = rate_limiter("100/hour;1/second")
        for _ in range(1000):
            answered(lambda: limiter.admit("a"))
        eventually(lambda: answered(lambda: limiter.admit("a")))

    def test_threads_that_race_never_make_more_requests_than_allowed(self) -> None:
        """A check and a use that race: they are one step."""
        limiter = rate_limiter("50/hour")
        admitted = in_threads(
            8, lambda: sum(answered(lambda: limiter.admit("a")) for _ in range(50))
        )
        assert sum(admitted) == 50


class TestBytes:
    def test_requests_are_refused_once_the_bytes_are_used_up(self) -> None:
        limiter = rate_limiter(of_bytes="1000/hour")
        for expected in (True, True, False):
            assert answered(lambda: limiter.admit("a")) is expected
            meter = limiter.meter("a")
            assert meter
            meter.count(500)
            meter.flush()
        assert answered(lambda: limiter.admit("b"))

    def test_bytes_count_in_sum_and_not_for_each_transfer(self) -> None:
        limiter = rate_limiter(of_bytes=f"{1 << 30}/hour")
        meters = [limiter.meter("a") for _ in range(8)]
        for meter in meters:
            assert meter
            assert answered(lambda: limiter.admit("a"))
            meter.count(1 << 27)
        assert not answered(lambda: limiter.admit("a"))

    def test_bytes_count_while_they_flow(self) -> None:
        limiter = rate_limiter(of_bytes=f"{8 << 20}/hour")
        meter = limiter.meter("a")
        assert meter
        for _ in range(9 << 4):
            meter.count(1 << 16)
        assert not answered(lambda: limiter.admit("a")), "and not only at the end of a transfer"

    def test_without_a_limit_of_bytes_nothing_is_metered(self) -> None:
        assert rate_limiter("1/hour").meter("a") is None
