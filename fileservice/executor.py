"""Executor: keeps work that blocks off the event loop (compare `concurrent.futures`)."""

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", covariant=True)


class Lock(Protocol):
    """A lock as `threading` has it."""

    def acquire(self, blocking: bool = True, /) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> bool: ...

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> None: ...


NewLock = Callable[[], Lock]
"""Makes locks for the threads in which an executor runs `run_io`."""


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
        """Call a function that waits for a disk or a network, and return its result."""

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that only computes, and return its result."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a call that waits for a disk or a network, and return at once."""
