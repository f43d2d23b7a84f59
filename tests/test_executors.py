"""Work in threads: where it runs, in which order, and what becomes of its errors."""

import threading
import time
from collections.abc import Callable

import gevent
import pytest

from fileservice import gevent_executor
from fileservice.executor import Executor
from fileservice.gevent_executor import GreenletExecutor, InlineExecutor, ThreadExecutor


@pytest.fixture(params=[ThreadExecutor, GreenletExecutor, InlineExecutor])
def executor(request: pytest.FixtureRequest) -> Executor:
    made: Executor = request.param()
    return made


def test_calls_beside_run_in_order_and_have_ended_at_the_end(executor: Executor) -> None:
    done: list[int] = []

    def work() -> None:
        with executor.beside(done.append, 2) as add:
            for number in range(100):
                add(number)
                assert len(done) >= number - 1
        assert done == list(range(100))

    executor.run_io(work)


def test_call_beside_does_not_begin_before_the_one_before_it_has_ended(executor: Executor) -> None:
    """Otherwise the blocks of a body could be hashed in another order than they have."""
    overlapped: list[bool] = []
    second_has_begun = threading.Event()

    def call(number: int) -> None:
        if number == 0:
            overlapped.append(second_has_begun.wait(0.5))
        else:
            second_has_begun.set()

    def work() -> None:
        with executor.beside(call, 2) as add:
            add(0)
            add(1)

    executor.run_io(work)
    assert overlapped == [False]


@pytest.mark.parametrize("failing", [0, 5, 9])
def test_error_of_a_call_beside_is_raised_once_all_have_ended(
    executor: Executor, failing: int
) -> None:
    done = []

    def call(number: int) -> None:
        done.append(number)
        if number == failing:
            raise ZeroDivisionError

    def work() -> None:
        with executor.beside(call, 3) as add:
            for number in range(10):
                add(number)

    with pytest.raises(ZeroDivisionError):
        executor.run_io(work)
    assert done == list(range(len(done)))
    assert len(done) <= failing + 5
    executor.run_io(check_that_calls_run_beside, executor)


def test_error_of_a_call_beside_is_not_lost_if_there_is_another_error(executor: Executor) -> None:
    """Otherwise what could not be scanned would count as scanned."""

    def call(_number: int) -> None:
        raise ZeroDivisionError

    def work() -> None:
        with executor.beside(call, 2) as add:
            add(0)
            raise KeyError

    with pytest.raises(ZeroDivisionError):
        executor.run_io(work)
    executor.run_io(check_that_calls_run_beside, executor)


def check_that_calls_run_beside(executor: Executor) -> None:
    done: list[int] = []
    with executor.beside(done.append, 1) as add:
        add(1)
    assert done == [1]


def test_work_within_work_runs_in_the_same_thread() -> None:
    executor = ThreadExecutor(threads=1)

    def idents() -> tuple[int, int]:
        return threading.get_ident(), executor.run_io(threading.get_ident)

    first, second = executor.run_io(idents)
    assert first == second != threading.get_ident()


def test_all_threads_may_have_calls_beside_them() -> None:
    """Otherwise uploads that fill the pool would wait for each other for ever."""
    executor, together = ThreadExecutor(threads=3), threading.Barrier(3)

    def work() -> str:
        done: list[str] = []
        with executor.beside(done.append, 1) as add:
            together.wait(30)
            add("done")
        return done[0]

    pending = [executor.submit(work) for _ in range(3)]
    assert [task.result() for task in pending] == ["done"] * 3


def test_companion_is_used_again() -> None:
    executor = ThreadExecutor(threads=1)

    def beside() -> int:
        idents: list[int] = []

        def note(_argument: None) -> None:
            idents.append(threading.get_ident())

        with executor.beside(note, 1) as add:
            add(None)
        return idents[0]

    work: Callable[[], int] = beside
    assert executor.run_io(work) == executor.run_io(work) != threading.get_ident()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy calls count as quick, and wait for each other, however long that takes."""
    monkeypatch.setattr(gevent_executor, "_QUICK_SECONDS", 60)
    monkeypatch.setattr(gevent_executor, "_TURN_SECONDS", 60)


@pytest.mark.usefixtures("patient")
def test_one_busy_call_runs_at_a_time() -> None:
    executor = ThreadExecutor()
    running: list[None] = []
    numbers: list[int] = []

    def work() -> None:
        running.append(None)
        time.sleep(0.001)  # as a system call, in which another thread may run
        numbers.append(len(running))
        running.pop()

    gevent.joinall([gevent.spawn(executor.run_busy_io, work) for _ in range(20)], raise_error=True)
    assert numbers == [1] * 20


@pytest.mark.usefixtures("patient")
def test_busy_calls_run_beside_those_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gevent_executor, "_TURN_SECONDS", 0.01)
    monkeypatch.setattr(gevent_executor, "_NO_TURNS_SECONDS", 60)
    executor, end = ThreadExecutor(), threading.Event()
    hanging = [gevent.spawn(executor.run_busy_io, end.wait, 60) for _ in range(2)]
    assert gevent.spawn(executor.run_busy_io, lambda: "done").get(timeout=30) == "done"
    monkeypatch.setattr(gevent_executor, "_TURN_SECONDS", 60)
    for _ in range(3):  # which do not wait any more
        assert gevent.spawn(executor.run_busy_io, lambda: "done").get(timeout=30) == "done"
    assert not any(call.ready() for call in hanging)
    end.set()
    gevent.joinall(hanging, raise_error=True)


@pytest.mark.usefixtures("patient")
def test_busy_calls_that_are_slow_run_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gevent_executor, "_QUICK_SECONDS", 0)
    monkeypatch.setattr(gevent_executor, "_NO_TURNS_SECONDS", 60)
    executor, together = ThreadExecutor(), threading.Barrier(3)
    for _ in range(3):
        executor.run_busy_io(lambda: None)
    calls = [gevent.spawn(executor.run_busy_io, together.wait, 30) for _ in range(3)]
    gevent.joinall(calls, raise_error=True)


@pytest.mark.usefixtures("patient")
def test_busy_calls_take_turns_again_when_they_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gevent_executor, "_NO_TURNS_SECONDS", 0)
    with monkeypatch.context() as slow:
        slow.setattr(gevent_executor, "_QUICK_SECONDS", 0)
        executor = ThreadExecutor()
        for _ in range(4):
            executor.run_busy_io(lambda: None)
    running: list[None] = []

    def work() -> int:
        running.append(None)
        time.sleep(0.001)
        number = len(running)
        running.pop()
        return number

    calls = [gevent.spawn(executor.run_busy_io, work) for _ in range(10)]
    assert [call.get(timeout=60) for call in calls] == [1] * 10


@pytest.mark.usefixtures("patient")
def test_busy_call_that_fails_makes_room_for_the_next() -> None:
    executor = ThreadExecutor()
    with gevent.Timeout(30):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                executor.run_busy_io(lambda: 1 / 0)
        assert executor.run_busy_io(lambda: "done") == "done"


@pytest.mark.usefixtures("patient")
def test_busy_call_whose_greenlet_is_killed_makes_room_for_the_next() -> None:
    executor, began, end = ThreadExecutor(), threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        end.wait(60)

    holder = gevent.spawn(executor.run_busy_io, hang)
    waiting = gevent.spawn(executor.run_busy_io, hang)
    gevent.sleep(0)
    began.wait(30)
    waiting.kill()
    holder.kill(block=False)
    gevent.sleep(0)
    end.set()
    assert gevent.spawn(executor.run_busy_io, lambda: "done").get(timeout=30) == "done"
    assert isinstance(holder.get(timeout=30), gevent.GreenletExit)


def test_busy_call_within_work_runs_in_the_same_thread(executor: Executor) -> None:
    def idents() -> tuple[int, int]:
        return threading.get_ident(), executor.run_busy_io(threading.get_ident)

    first, second = executor.run_io(idents)
    assert first == second


def test_work_is_delayed_by_threads_that_are_not_free_and_not_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[Callable[[], None]] = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "fileservice.gevent_executor._start_thread", lambda work, _: threads.append(work)
        )
        executor = ThreadExecutor(threads=1)
    may_end = threading.Event()
    first = executor.submit(may_end.wait)
    time.sleep(0.01)
    assert executor.delay() == 0.0, "the thread is free, but has not had the CPU"
    threading.Thread(target=threads[0], daemon=True).start()
    second = executor.submit(may_end.wait)
    while executor.delay() < 0.01:
        time.sleep(0.01)
    may_end.set()
    first.wait()
    second.wait()
    assert executor.delay() == 0.0
