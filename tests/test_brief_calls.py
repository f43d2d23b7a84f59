"""Brief calls: which thread makes them, what they wait for together, and what they hold up."""

import threading
import time
from collections.abc import Callable

import gevent
import pytest

from fileservice import brief_calls
from fileservice.brief_calls import MAX_BATCH, call_blocking
from fileservice.gevent_executor import ThreadExecutor
from tests.support.wire import eventually

ROUNDS = 50


def run_at_once(executor: ThreadExecutor, calls: list[Callable[[], object]]) -> list[object]:
    """Make brief calls from as many greenlets; return their results, or their errors."""
    greenlets = [gevent.spawn(executor.run_brief, call) for call in calls]
    gevent.joinall(greenlets)
    return [greenlet.exception or greenlet.value for greenlet in greenlets]


def begun_call(executor: ThreadExecutor, may_end: threading.Event) -> gevent.Greenlet:
    """Return a call that a thread is making, until it may end; others are in later batches."""
    begun = threading.Event()
    greenlet = gevent.spawn(executor.run_brief, lambda: begun.set() or may_end.wait(60))
    while not begun.is_set():
        gevent.sleep(0.001)
    return greenlet


def test_calls_that_come_together_run_one_after_the_other_in_one_thread() -> None:
    executor, done = ThreadExecutor(threads=4), list[int]()

    def call(number: int) -> int:
        done.append(number)
        time.sleep(0.001)  # lets any other thread run
        done.append(number)
        return threading.get_ident()

    (ident,) = set(run_at_once(executor, [lambda n=n: call(n) for n in range(5)]))
    assert ident != threading.get_ident()
    assert done == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("seconds", [0.0, 0.001])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_blocking_functions_are_waited_for_together(count: int, seconds: float) -> None:
    executor, done = ThreadExecutor(threads=4), list[str]()

    def call(number: int) -> int:
        done.append("begins")
        result = call_blocking(lambda: time.sleep(seconds) or done.append("waits") or number)
        done.append("ends")
        return result

    results = run_at_once(executor, [lambda n=n: call(n) for n in range(count)])
    assert results == list(range(count)), "each has the result of its own function"
    assert done == ["begins"] * count + ["waits"] * count + ["ends"] * count


@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_blocking_functions_are_called_when_no_more_threads_can_be_started(
    allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thread runs the calls, and others would wait for the disk at the same time."""
    executor, started = ThreadExecutor(threads=4), list[object]()
    start = brief_calls._start_thread

    def start_some(function: Callable[[], None], arguments: tuple[()]) -> int:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(function)
        return start(function, arguments)

    monkeypatch.setattr(brief_calls, "_start_thread", start_some)

    def call(number: int) -> int:
        call_blocking(lambda: time.sleep(0.001))
        return number

    assert run_at_once(executor, [lambda n=n: call(n) for n in range(6)]) == list(range(6))
    assert len(started) == allowed


def test_error_of_a_blocking_function_concerns_only_its_call() -> None:
    executor = ThreadExecutor(threads=2)

    def call(divisor: int) -> int:
        try:
            return call_blocking(lambda: 6 // divisor)
        except ZeroDivisionError:
            call_blocking(lambda: None)
            raise

    first, failed, last = run_at_once(executor, [lambda d=d: call(d) for d in (1, 0, 3)])
    assert (first, last) == (6, 2)
    assert isinstance(failed, ZeroDivisionError)


def test_what_a_call_has_run_for_io_is_a_blocking_function() -> None:
    executor, done = ThreadExecutor(threads=2), list[str]()

    def call() -> None:
        done.append("begins")
        executor.run_io(done.append, "waits")

    run_at_once(executor, [call, call])
    assert done == ["begins", "begins", "waits", "waits"]


def test_more_calls_than_a_batch_has_are_all_made() -> None:
    executor, count = ThreadExecutor(threads=1), 3 * MAX_BATCH + 1
    results = run_at_once(executor, [lambda n=n: n for n in range(count)])
    assert results == list(range(count))


def test_event_loop_goes_on_beside_a_call_that_does_not_end() -> None:
    executor, may_end = ThreadExecutor(threads=2), threading.Event()
    greenlets = [begun_call(executor, may_end)]
    for number in range(100):
        gevent.sleep(0)
        if number % 50 == 0:
            greenlets.append(gevent.spawn(executor.run_brief, lambda: None))
    assert executor.run_io(lambda: "done") == "done"
    greenlets[-1].join(60)
    assert greenlets[-1].successful(), "another call is made by another thread"
    assert not greenlets[0].dead
    may_end.set()
    gevent.joinall(greenlets, timeout=60)
    assert greenlets[0].value is True


def test_event_loop_goes_on_beside_a_blocking_function() -> None:
    executor, may_end = ThreadExecutor(threads=2), threading.Event()
    began = threading.Event()
    blocked = gevent.spawn(
        executor.run_brief, lambda: call_blocking(lambda: began.set() or may_end.wait(60))
    )
    while not began.is_set():
        gevent.sleep(0.001)
    assert run_at_once(executor, [lambda: call_blocking(lambda: 1)]) == [1]
    assert not blocked.dead
    may_end.set()
    blocked.join(60)
    assert blocked.value is True


def test_event_loop_mostly_waits_while_a_call_is_made() -> None:
    """Otherwise the two would take turns at each system call."""
    executor, steps = ThreadExecutor(threads=2), 0

    def step() -> None:
        nonlocal steps
        while True:
            steps += 1
            gevent.sleep(0)

    def call() -> bool:
        before = steps
        time.sleep(0.0005)  # the loop could run
        return steps == before

    def is_mostly_undisturbed() -> bool:
        """A call that has to wait for a processor is not waited for, nor are those after it."""
        before, undisturbed = steps, 0
        for _ in range(ROUNDS):
            undisturbed += executor.run_brief(call)
        assert steps > before + ROUNDS, "the control: the loop runs between the calls"
        return undisturbed > ROUNDS / 2

    stepping = gevent.spawn(step)
    eventually(is_mostly_undisturbed)
    stepping.kill()


def test_calls_that_wait_for_a_thread_are_delayed() -> None:
    executor, may_end = ThreadExecutor(threads=1), threading.Event()
    greenlets = [begun_call(executor, may_end)]
    assert executor.delay() == 0.0
    greenlets.append(gevent.spawn(executor.run_brief, lambda: None))
    while executor.delay() < 0.01:
        gevent.sleep(0.01)
    may_end.set()
    gevent.joinall(greenlets, timeout=60)
    assert executor.delay() == 0.0
