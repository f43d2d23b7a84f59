"""Offload: the one way for work that blocks (disk, hashing, libmagic) to leave the event loop."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload(Protocol):
    """Runs a function elsewhere, waits for its end whatever happens, and gives what it gave."""

    def __call__(
        self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> T: ...


def inline(function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
    """The Offload that stays where it is: for servers with a thread a request."""
    return function(*arguments, **keywords)
