"""Executor: keeps work that blocks off the event loop (compare `concurrent.futures`)."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", covariant=True)
X = TypeVar("X")


class Lock(Protocol):
    """A lock as `threading` has it."""

    def acquire(self, blocking: bool = True, timeout: float = -1, /) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> bool: ...

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> None: ...


NewLock = Callable[[], Lock]
"""Makes locks for the threads in which an executor runs `run_io`."""


class CallBlocking(Protocol):
    """How a brief call (`Executor.run_brief`) calls a function that may wait for a disk."""

    def __call__(self, function: Callable[[], T], /) -> T:
        """Call `function` and return its result, or raise its error."""


def call_directly(function: Callable[[], T]) -> T:
    """Call a function; the CallBlocking where there are no brief calls."""
    return function()


@dataclass(frozen=True, slots=True)
class NativeSockets:
    """Sockets that block a native thread.

    gevent replaces them by versions of its own, which need the event loop of the thread.
    """

    getaddrinfo: Callable[..., Any] = socket.getaddrinfo
    new_socket: type[socket.socket] = socket.socket


class Future(Protocol[R]):
    """Work that was submitted to an executor."""

    def wait(self) -> None:
        """Return once the work has ended, with a result or an error."""

    def result(self) -> R:
        """Wait until the work has ended; return what it returned, or raise what it raised."""


class RunCpu(Protocol):
    """The type of `Executor.run_cpu`, for code that uses nothing else of an executor."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` and return its result."""


class Executor(Protocol):
    """Runs functions where they do not delay other requests."""

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that waits for a disk or a network, and return its result.

        If this is called by such a function, the other one runs in the same thread.
        """

    def run_brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that takes less than a millisecond and waits for nothing.

        What may wait for a disk nevertheless, it calls by `run_io` or the CallBlocking that belongs
        to the executor, while it holds no lock: then others that are called so at the same time go
        on. All of them wait for the longest one.
        """

    def run_busy_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that makes many system calls, most of which return at once.

        As `run_io`, but native threads make such calls one after the other, since threads that
        take turns at each system call need longer. Calls that are not quick, since they wait for a
        disk or have much to do, are made beside each other.
        """

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that only computes, and return its result."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a call that waits for a disk or a network, and return at once."""

    def beside(
        self, function: Callable[[X], object], lag: int
    ) -> AbstractContextManager[Callable[[X], None]]:
        """Return what calls a function that only computes, one call after the other, beside us.

        It may be used by what `run_io` calls. It returns as soon as at most `lag` calls have not
        ended. At the end of the context, all have. Raise what the function raised, once.
        """

    def delay(self) -> float:
        """Return for how many seconds the oldest work that has not begun has been waiting.

        What waits for its turn in `run_busy_io` is not counted.
        """
