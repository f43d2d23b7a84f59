"""BriefCalls: short calls of native threads that do not compete with the event loop.

Threads of Python take turns: one that has made a system call waits until another one makes the
next. On two processors, each change costs more than most system calls, and sixteen uploads in as
many threads changed fifty times for each of them. So the calls that were made in one iteration of
the event loop run one after the other in one thread, and the loop waits for its turn until they
have ended or wait for a disk, but not for long: a slow disk must not hold up other requests.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

import greenlet
from gevent import get_hub, monkey

from fileservice.executor import Lock, NewLock

T = TypeVar("T")

MAX_BATCH = 32
"""How many calls one thread makes before the event loop has its turn."""
_TURN_SECONDS = 0.005
"""How long others wait for a turn to end. This is also how long the interpreter lets a thread go on
that makes no system calls (sys.getswitchinterval)."""
_SHARED_SECONDS = 0.0002
"""A blocking call that takes longer has not got what it waits for by the one before it."""
_BACK_OFF = 10
"""After it has waited in vain, the loop takes no turns for so many times as long."""

_new_lock: NewLock = monkey.get_original("_thread", "allocate_lock")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_queue = monkey.get_original("queue", "SimpleQueue")


class Task(Protocol):
    """A call that was submitted."""

    def run(self) -> None:
        """Make the call; raise nothing."""


def call_blocking(function: Callable[[], T]) -> T:
    """Call a function that may wait for a disk.

    In a brief call, it is called when every other one of the batch has ended or has come to such a
    function as well, and returns when all of these functions have. So what they wait for together,
    such as a commit of the journal, they wait for once.
    """
    current = greenlet.getcurrent()
    return current.block(function) if isinstance(current, _Caller) else function()


class BriefCalls:
    """Runs tasks in up to `threads` native threads; to be made in the thread of the event loop.

    `report_end` is called in one of these threads with the tasks that have ended.
    """

    def __init__(self, threads: int, report_end: Callable[[Sequence[Task]], None]) -> None:
        self._max_threads = threads
        self._report_end = report_end
        self._submitted: deque[tuple[float, Task]] = deque()
        self._batches = _new_queue()
        self._threads = 0
        self._helpers = _Helpers(threads)
        self._working: deque[None] = deque()  # an entry for each batch that has not ended
        # Of each batch that waits for a disk: since when, and how many of its calls.
        self._waiting: dict[int, tuple[float, int]] = {}
        self._turn = _new_lock()
        self._has_turn = False
        self._no_turns_before = 0.0
        loop = get_hub().loop
        # Of what runs before the loop waits, this is the last, and after it the first.
        self._before_wait = loop.prepare(priority=-2)
        self._after_wait = loop.check(priority=2)
        self._before_wait.start(self._hand_over)
        self._after_wait.start(self._take_turn)

    def submit(self, task: Task) -> None:
        """Have a task run, in the next batch, from the event loop."""
        self._submitted.append((time.monotonic(), task))

    def delay(self) -> float:
        """Return for how many seconds the oldest task has been waiting for a thread or a disk.

        Those that wait for a disk count if they are more than there are threads: then one that has
        a thread of its own would have to wait as well.
        """
        now = time.monotonic()
        waiting = list(self._waiting.values())
        delay = 0.0
        if sum(calls for _, calls in waiting) > self._max_threads:
            delay = now - min(began for began, _ in waiting)
        if self._submitted and len(self._working) >= self._max_threads:
            delay = max(delay, now - self._submitted[0][0])
        return delay

    def _take_turn(self) -> None:
        """Wait until no thread makes calls, in the event loop before it does anything."""
        if not self._working or time.monotonic() < self._no_turns_before:
            return
        self._has_turn = self._turn.acquire(True, _TURN_SECONDS)
        if not self._has_turn:
            self._turn = _new_lock()  # whoever has the other one will release it in vain
            self._no_turns_before = time.monotonic() + _BACK_OFF * _TURN_SECONDS

    def _hand_over(self) -> None:
        """Give a batch to a thread, and the turn with it, before the event loop waits."""
        if self._submitted and len(self._working) < self._max_threads:
            if len(self._working) == self._threads:
                _start_thread(self._work, ())  # if none can be started, the tasks stay submitted
                self._threads += 1
            count = min(len(self._submitted), MAX_BATCH)
            tasks = [self._submitted.popleft()[1] for _ in range(count)]
            is_passed = self._has_turn or self._turn.acquire(False)
            self._has_turn = False
            self._working.append(None)
            self._batches.put((tasks, self._turn if is_passed else None))
            if self._submitted:
                get_hub().loop.run_callback(_do_nothing)  # or the loop would wait for an event
        if self._has_turn:
            self._has_turn = False
            self._turn.release()

    def _work(self) -> None:
        idle: list[_Caller] = []
        while True:
            tasks, turn = self._batches.get()
            turn = self._run(tasks, idle, turn or self._wait_for_turn())
            self._working.pop()
            self._report_end(tasks)
            del tasks  # or they would keep their blocks in memory until there are more
            if turn:
                turn.release()

    def _run(self, tasks: Sequence[Task], idle: list["_Caller"], turn: Lock | None) -> Lock | None:
        """Run tasks, waiting together for what blocks; return the turn, if there is one then.

        `idle` are the callers of this thread that make no call.
        """
        callers = []
        for task in tasks:
            caller = idle.pop() if idle else _Caller()
            callers.append(caller)
            caller.begin(task)
        while True:
            idle += [caller for caller in callers if caller.has_ended]
            callers = [caller for caller in callers if not caller.has_ended]
            if not callers:
                return turn
            if turn:
                turn.release()
            self._waiting[id(callers)] = time.monotonic(), len(callers)
            self._wait_for_disk(callers)
            del self._waiting[id(callers)]
            turn = self._wait_for_turn()
            for caller in callers:
                caller.go_on()

    def _wait_for_disk(self, callers: Sequence["_Caller"]) -> None:
        """Make the blocking calls: in parallel if the second does not profit from the first."""
        began = 0.0
        for number, caller in enumerate(callers):
            if number == 2 and time.monotonic() - began > _SHARED_SECONDS:
                self._helpers.run([rest.make_blocking_call for rest in callers[number:]])
                return
            began = time.monotonic()
            caller.make_blocking_call()

    def _wait_for_turn(self) -> Lock | None:
        turn = self._turn
        return turn if turn.acquire(True, _TURN_SECONDS) else None


class _Caller(greenlet.greenlet):
    """Makes brief calls, one after the other, in one thread; is left while one waits for a disk.

    It is used again, since each new one maps memory for its frames, which all threads of the
    process notice when it is unmapped.
    """

    _task: Task | None = None
    _function: Callable[[], Any] | None = None
    _result: Any = None
    _error: BaseException | None = None
    has_ended = False
    """Whether the last call has ended."""

    def begin(self, task: Task) -> None:
        """Make a call, until it has ended or comes to a function that blocks."""
        self._task, self.has_ended = task, False
        self.switch()

    def run(self) -> None:
        """Make each call that is begun; the caller never ends."""
        while self._task:
            self._task.run()
            self._task, self.has_ended = None, True
            assert self.parent
            self.parent.switch()

    def go_on(self) -> None:
        """Go on with the call after the function that blocked."""
        self.switch()

    def block(self, function: Callable[[], T]) -> T:
        """Leave the call until the function was called, and return its result."""
        self._function = function
        assert self.parent
        self.parent.switch()
        error, self._error = self._error, None
        if error:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame
        result, self._result = self._result, None
        return cast(T, result)

    def make_blocking_call(self) -> None:
        """Call the function that the call has come to."""
        assert self._function
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001  # block() raises it again
            self._error = error
        self._function = None


class _Helpers:
    """Up to so many native threads, which make calls that wait for a disk at the same time."""

    def __init__(self, threads: int) -> None:
        self._max_threads = threads
        self._threads = 0
        self._calls = _new_queue()

    def run(self, functions: Sequence[Callable[[], None]]) -> None:
        """Call the functions, which raise nothing; return when all have returned."""
        self._start_threads(min(len(functions), self._max_threads))
        if not self._threads:
            for function in functions:
                function()
            return
        ends = _new_queue()
        for function in functions:
            self._calls.put((function, ends))
        for _ in functions:
            ends.get()

    def _start_threads(self, count: int) -> None:
        """Have so many threads, or as many as the system allows."""
        for _ in range(count - self._threads):
            try:
                _start_thread(self._work, ())
            except RuntimeError:
                return
            self._threads += 1

    def _work(self) -> None:
        while True:
            function, ends = self._calls.get()
            function()
            del function  # or it would keep its block in memory until there is more work
            ends.put(None)


def _do_nothing() -> None:
    pass
