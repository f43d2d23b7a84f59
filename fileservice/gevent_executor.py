"""The ways to offload, each for another place that work may wait in.

Disks are waited for in threads beside the event loop, networks in the loop itself: patched sockets
and locks belong to the loop of one thread. A server with a thread for each request needs nothing.
"""

import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, cast

import gevent
import greenlet
from gevent import get_hub, monkey

from fileservice.executor import P, T

_THREADS = 10


class ThreadExecutor:
    """Runs work in native threads while other greenlets go on.

    gevent's own thread pool does the same at two to three times the cost of a call, and every
    block of every upload is a call.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        # The originals: what gevent puts in their place works for greenlets only.
        start_thread = monkey.get_original("_thread", "start_new_thread")
        self._waiting: SimpleQueue[_Future[Any]] = monkey.get_original("queue", "SimpleQueue")()
        self._since: deque[float] = deque()  # when what waits began to wait
        self._ended: deque[_Future[Any]] = deque()
        self._news = get_hub().loop.async_()
        self._news.start(self._wake)
        for _ in range(threads):
            start_thread(self._work, ())

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.submit(function, *args, **kwargs).result()

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)  # it is in a thread already

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "_Future[T]":
        task = _Future(lambda: function(*args, **kwargs))
        self._since.append(time.monotonic())
        self._waiting.put(task)
        return task

    def delay(self) -> float:
        """For how many seconds the work that waits longest for a thread has been waiting."""
        try:
            return time.monotonic() - self._since[0]
        except IndexError:
            return 0.0

    def _work(self) -> None:
        while True:
            task = self._waiting.get()
            self._since.popleft()
            task.run()
            self._ended.append(task)
            del task  # which would hold its block until there is more to do
            self._news.send()

    def _wake(self) -> None:
        while self._ended:
            self._ended.popleft().wake()


class GreenletExecutor:
    """Lets work that waits for a network wait in greenlets; what only computes goes to threads."""

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
        """The same of what computes; what waits for the network waits for nothing of ours."""
        return self._threads.delay()


class InlineExecutor:
    """Runs work at once, where it is."""

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
        """Nothing waits."""
        return 0.0


class _Future(Generic[T]):
    """One piece of work, and what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: T | None = None
        self._error: BaseException | None = None
        self._over = False
        self._waiter: greenlet.greenlet | None = None

    def run(self) -> None:
        """Do the work, in whatever thread."""
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            self._error = error

    def wake(self) -> None:
        """Let the greenlet that waits go on; called by the loop, or where nobody waits yet."""
        self._over = True
        if self._waiter:
            self._waiter.switch()

    def wait(self) -> None:
        # A greenlet that is killed meanwhile must still wait: the thread works with what the
        # greenlet is about to close.
        interruption: BaseException | None = None
        while not self._over:
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
            # What is raised leads to whoever holds this task, and to the blocks of a body.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return cast(T, self._value)
