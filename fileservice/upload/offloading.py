"""Offload: the one way for work that blocks (disk, hashing, libmagic) to leave the event loop."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", covariant=True)


class Pending(Protocol[R]):
    """Work that is being done elsewhere."""

    def wait(self) -> None:
        """Wait for the end of the work, whatever comes of it and whatever happens meanwhile."""

    def result(self) -> R:
        """Wait, and give what the work gave or raise what it raised; to be asked once."""


class Compute(Protocol):
    """Runs a function that only computes where it holds up nobody."""

    def __call__(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """Run `function`, and give what it gave."""


class Offload(Protocol):
    """Runs functions where they do not hold up the others."""

    def __call__(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """Run `function`, and give what it gave."""

    def compute(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """Within offloaded work, run `function`, which only computes and never asks the store."""

    def start(
        self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> Pending[T]:
        """Begin to run `function`; the caller must wait for it before it lets go of anything."""
