"""Executors for gevent's event loop, and one for servers with a thread for each request.

Work that waits for a disk runs in native threads. Work that waits for a network runs in greenlets,
because the sockets and locks that gevent has patched belong to the event loop of one thread.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, Generic, cast

import gevent
import greenlet
from gevent import get_hub, monkey
from gevent.lock import BoundedSemaphore

from fileservice.brief_calls import BriefCalls, Task, call_blocking
from fileservice.executor import NativeSockets, NewLock, P, T, X

_DEFAULT_THREADS = 16
_TURN_SECONDS = 0.25
"""How long a call with many system calls waits for its turn."""
_QUICK_SECONDS = 0.01
"""A call that takes longer waits for a disk, or has so much to do that others need not wait."""
_SLOW_CALLS = 3
"""After so many calls in a row that were not quick, calls take no turns."""
_NO_TURNS_SECONDS = 1.0
"""How long they take none. If calls are quick then, they take turns again."""

new_lock: NewLock = monkey.get_original("_thread", "allocate_lock")
"""Makes locks for the threads of an executor, where gevent's own only work for greenlets."""

native_sockets = NativeSockets(
    getaddrinfo=monkey.get_original("socket", "getaddrinfo"),
    new_socket=monkey.get_original("socket", "socket"),
)
"""What work in the threads of a ThreadExecutor uses, where gevent's own need an event loop."""

# These must not be gevent's patched versions, which only work for greenlets.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_get_ident = monkey.get_original("_thread", "get_ident")
_new_queue = monkey.get_original("queue", "SimpleQueue")


class ThreadExecutor:
    """Runs work in native threads while other greenlets go on.

    A call of gevent's own thread pool costs two to three times as much, and every block of every
    upload is a call.
    """

    def __init__(self, threads: int = _DEFAULT_THREADS) -> None:
        self._thread = _get_ident()
        self._queue: SimpleQueue[_Future[Any]] = _new_queue()
        self._threads = threads
        self._submitted: deque[float] = deque()  # when the queued work was submitted
        self._working: deque[None] = deque()  # an entry for each thread that is not free
        self._ended: deque[_Future[Any]] = deque()
        self._wake_up = get_hub().loop.async_()
        self._wake_up.start(self._wake)
        for _ in range(threads):
            _start_thread(self._work, ())
        self._idle_companions: list[_Companion] = []
        self._brief_calls = BriefCalls(threads, self._end_brief)
        self._turns = _Turns()
        self._wake_up.send()  # or the loop, if it runs this, would wait once more without them

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if _get_ident() != self._thread:
            return call_blocking(lambda: function(*args, **kwargs))
        return self.submit(function, *args, **kwargs).result()

    def run_brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if _get_ident() != self._thread:
            return function(*args, **kwargs)
        task = _Future(lambda: function(*args, **kwargs))
        self._brief_calls.submit(task)
        return task.result()

    def run_busy_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if _get_ident() != self._thread:
            return self.run_io(function, *args, **kwargs)
        with self._turns.take():
            return self.run_io(function, *args, **kwargs)

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)  # this already runs in a thread

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "_Future[T]":
        task = _Future(lambda: function(*args, **kwargs))
        self._submitted.append(time.monotonic())
        self._queue.put(task)
        return task

    @contextmanager
    def beside(self, function: Callable[[X], object], lag: int) -> Iterator[Callable[[X], None]]:
        # Its threads are not those of the other work, or all of these might wait for them. There
        # are as many as were used at once, which is at most one for each thread of the pool.
        try:
            companion = self._idle_companions.pop()
        except IndexError:
            companion = _Companion()
        calls = _CallsBeside(companion, function, lag)
        try:
            yield calls.add
        finally:
            try:
                calls.wait_all()
            finally:
                self._idle_companions.append(companion)

    def delay(self) -> float:
        """Return for how many seconds the oldest work has been waiting for a thread to be free.

        While one is free, the work waits for the CPU, which is no sign of too many requests: other
        processes may have it.
        """
        brief = self._brief_calls.delay()
        if len(self._working) < self._threads:
            return brief
        try:
            return max(brief, time.monotonic() - self._submitted[0])
        except IndexError:
            return brief

    def _work(self) -> None:
        while True:
            task = self._queue.get()
            self._submitted.popleft()
            self._working.append(None)
            task.run()
            self._working.pop()
            self._ended.append(task)
            del task  # or it would keep its block in memory until there is more work
            self._wake_up.send()

    def _end_brief(self, tasks: Sequence[Task]) -> None:
        self._ended.extend(cast(Sequence[_Future[Any]], tasks))
        self._wake_up.send()

    def _wake(self) -> None:
        while self._ended:
            self._ended.popleft().wake()


class _Turns:
    """Lets one call after the other run, as long as they are quick.

    Of a disk that is waited for, several threads get more than one. While a call hangs, others wait
    for up to a quarter of a second, and after that none waits for a second.
    """

    def __init__(self) -> None:
        self._turn = BoundedSemaphore()
        self._none_before = 0.0
        self._running = 0
        self._slow_calls = 0
        """How many of the last calls that ran alone were not quick."""

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn, for a time, and have it for the length of the context."""
        has_turn = False
        if time.monotonic() >= self._none_before:
            has_turn = self._turn.acquire(timeout=_TURN_SECONDS)
            if not has_turn:
                self._take_none()
        is_alone, began = not self._running, time.monotonic()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if has_turn:
                self._turn.release()
                if is_alone:
                    self._judge(time.monotonic() - began)

    def _judge(self, seconds: float) -> None:
        self._slow_calls = self._slow_calls + 1 if seconds > _QUICK_SECONDS else 0
        if self._slow_calls >= _SLOW_CALLS:
            self._take_none()

    def _take_none(self) -> None:
        self._none_before, self._slow_calls = time.monotonic() + _NO_TURNS_SECONDS, 0


class GreenletExecutor:
    """Runs work that waits for a network in greenlets, and work that only computes in threads."""

    def __init__(self) -> None:
        self._threads = ThreadExecutor()

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def run_brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def run_busy_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._threads.run_io(function, *args, **kwargs)

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "_Future[T]":
        task = _Future(lambda: function(*args, **kwargs))

        def work() -> None:
            task.run()
            get_hub().loop.run_callback(task.wake)

        gevent.spawn(work)
        return task

    @contextmanager
    def beside(self, function: Callable[[X], object], lag: int) -> Iterator[Callable[[X], None]]:
        calls: deque[_Future[object]] = deque()
        arguments, one_at_a_time = deque[X](), new_lock()

        def call_next() -> None:
            # Two threads may run this. The one that comes first takes the first argument, so once
            # the first n of `calls` have ended, `function` has had the first n arguments.
            with one_at_a_time:
                function(arguments.popleft())

        def add(argument: X) -> None:
            arguments.append(argument)
            calls.append(self._threads.submit(call_next))
            while len(calls) > lag:
                calls.popleft().result()

        try:
            yield add
        finally:
            try:
                for call in calls:
                    call.wait()
            finally:  # also if this greenlet was killed meanwhile
                for call in calls:
                    call.result()

    def delay(self) -> float:
        """Return the delay of work that only computes; work for the network is never queued."""
        return self._threads.delay()


class InlineExecutor:
    """Runs work in the thread that submits it."""

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def run_brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def run_busy_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "_Future[T]":
        task = _Future(lambda: function(*args, **kwargs))
        task.run()
        task.wake()
        return task

    @contextmanager
    def beside(self, function: Callable[[X], object], lag: int) -> Iterator[Callable[[X], None]]:  # noqa: ARG002
        yield lambda argument: cast(None, function(argument))

    def delay(self) -> float:
        """Return 0: no work is ever queued."""
        return 0.0


class _Companion:
    """A native thread that works for another one, and waits for it without the event loop."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], object]] = _new_queue()
        self.errors: SimpleQueue[BaseException | None] = _new_queue()
        _start_thread(self._work, ())

    def _work(self) -> None:
        while True:
            call = self.calls.get()
            error: BaseException | None = None
            try:
                call()
            except BaseException as raised:  # noqa: BLE001  # raised again by who waits
                error = raised
            del call  # or it would keep its block in memory until there is more work
            self.errors.put(error)
            del error


class _CallsBeside:
    """The calls of one function in the thread of a companion."""

    def __init__(self, companion: _Companion, function: Callable[[X], object], lag: int) -> None:
        self._companion = companion
        self._function = function
        self._lag = lag
        self._unfinished = 0

    def add(self, argument: Any) -> None:
        self._companion.calls.put(lambda: self._function(argument))
        self._unfinished += 1
        while self._unfinished > self._lag:
            self._wait_one()

    def wait_all(self) -> None:
        try:
            while self._unfinished:
                self._wait_one()
        finally:
            while self._unfinished:
                with suppress(BaseException):
                    self._wait_one()

    def _wait_one(self) -> None:
        error = self._companion.errors.get()
        self._unfinished -= 1
        if error:
            try:
                raise error
            finally:
                del error


class _Future(Generic[T]):
    """Work that was submitted, and its result or error."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: T | None = None
        self._error: BaseException | None = None
        self._is_done = False
        self._waiter: greenlet.greenlet | None = None

    def run(self) -> None:
        """Do the work, in any thread."""
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001  # result() raises it again
            self._error = error

    def wake(self) -> None:
        """Resume the waiting greenlet; called by the event loop, or by the submitter itself."""
        self._is_done = True
        if self._waiter:
            self._waiter.switch()

    def wait(self) -> None:
        # A greenlet that is killed meanwhile must still wait, because the thread uses files that
        # the greenlet is about to close.
        interruption: BaseException | None = None
        while not self._is_done:
            self._waiter = greenlet.getcurrent()
            try:
                get_hub().switch()
            except BaseException as error:  # noqa: BLE001  # raised again below
                interruption = error
        self._waiter = None
        if interruption:
            raise interruption

    def result(self) -> T:
        self.wait()
        if self._error:
            # The frames of the error refer to this task and to the blocks of a body.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return cast(T, self._value)
