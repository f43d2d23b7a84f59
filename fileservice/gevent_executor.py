"""Executors for gevent's event loop, and one for servers with a thread for each request.

Work that waits for a disk runs in native threads. Work that waits for a network runs in greenlets,
because the sockets and locks that gevent has patched belong to the event loop of one thread.
"""

import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, cast

import gevent
import greenlet
from gevent import get_hub, monkey

from fileservice.executor import NewLock, P, T

_DEFAULT_THREADS = 16

new_lock: NewLock = monkey.get_original("_thread", "allocate_lock")
"""Makes locks for the threads of an executor, where gevent's own only work for greenlets."""


class ThreadExecutor:
    """Runs work in native threads while other greenlets go on.

    A call of gevent's own thread pool costs two to three times as much, and every block of every
    upload is a call.
    """

    def __init__(self, threads: int = _DEFAULT_THREADS) -> None:
        # These must not be gevent's patched versions, which only work for greenlets.
        start_thread = monkey.get_original("_thread", "start_new_thread")
        self._queue: SimpleQueue[_Future[Any]] = monkey.get_original("queue", "SimpleQueue")()
        self._submitted: deque[float] = deque()  # when the queued work was submitted
        self._ended: deque[_Future[Any]] = deque()
        self._wake_up = get_hub().loop.async_()
        self._wake_up.start(self._wake)
        for _ in range(threads):
            start_thread(self._work, ())

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.submit(function, *args, **kwargs).result()

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)  # this already runs in a thread

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "_Future[T]":
        task = _Future(lambda: function(*args, **kwargs))
        self._submitted.append(time.monotonic())
        self._queue.put(task)
        return task

    def delay(self) -> float:
        """Return for how many seconds the oldest work has been waiting for a thread."""
        try:
            return time.monotonic() - self._submitted[0]
        except IndexError:
            return 0.0

    def _work(self) -> None:
        while True:
            task = self._queue.get()
            self._submitted.popleft()
            task.run()
            self._ended.append(task)
            del task  # or it would keep its block in memory until there is more work
            self._wake_up.send()

    def _wake(self) -> None:
        while self._ended:
            self._ended.popleft().wake()


class GreenletExecutor:
    """Runs work that waits for a network in greenlets, and work that only computes in threads."""

    def __init__(self) -> None:
        self._threads = ThreadExecutor()

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
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

    def delay(self) -> float:
        """Return the delay of work that only computes; work for the network is never queued."""
        return self._threads.delay()


class InlineExecutor:
    """Runs work in the thread that submits it."""

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
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

    def delay(self) -> float:
        """Return 0: no work is ever queued."""
        return 0.0


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
