"""Executor: how work that blocks is kept off an event loop (compare `concurrent.futures`)."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", covariant=True)


class Future(Protocol[R]):
    """Work that was submitted to an executor."""

    def wait(self) -> None:
        """Return when the work has ended, whatever came of it."""

    def result(self) -> R:
        """Return what the work returned, or raise what it raised, once it has ended."""


class RunCpu(Protocol):
    """The type of `Executor.run_cpu`, for code that needs nothing else of an executor."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` and return its result."""


class Executor(Protocol):
    """Runs functions where they do not hold up other requests."""

    def run_io(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that waits for a disk or a network, and return its result."""

    def run_cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that only computes, and return its result."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin a call that waits for a disk or a network, and return at once."""
