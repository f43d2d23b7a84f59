"""Calls of the store: how many there are of each kind, how many fail, and how long they take."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

T = TypeVar("T")

_MAX_WAITING = 10_000
"""Calls of each kind that nobody has taken; without a worker of ours, nobody does."""


class StoreCalls(NamedTuple):
    """Calls of one kind that have ended."""

    seconds: list[float]
    failed: int
    """How many of them have failed."""


class _Ended(NamedTuple):
    """What threads may append to, and none of them waits for another one."""

    seconds: deque[float]
    failures: deque[None]


_ended: dict[str, _Ended] = {}
"""By the name of the call."""


def take_store_calls() -> dict[str, StoreCalls]:
    """Return the calls that have ended since this was called before, by their names."""
    return {
        name: StoreCalls(_take(ended.seconds), len(_take(ended.failures)))
        for name, ended in list(_ended.items())
        if ended.seconds
    }


def _take(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(len(waiting))]


def count_store_calls(store: T, is_failure: Callable[[BaseException], bool]) -> T:
    """Return a view of a store whose calls are counted.

    `is_failure` says whether an error is one of the store itself. That there is no such file, for
    instance, is an answer like any other.
    """
    return cast(T, _CountedCalls(store, is_failure))


class _CountedCalls:
    """Has the attributes of another object; its methods are counted."""

    def __init__(self, counted: object, is_failure: Callable[[BaseException], bool]) -> None:
        self._counted = counted
        self._is_failure = is_failure

    def __getattr__(self, name: str) -> Any:
        # This is called only once for each method, which becomes an attribute then.
        value = getattr(self._counted, name)
        if callable(value):
            value = _timed(name, self._counted, self._is_failure)
            self.__dict__[name] = value
        return value


def _timed(
    name: str, counted: object, is_failure: Callable[[BaseException], bool]
) -> Callable[..., Any]:
    ended = _ended.setdefault(name, _Ended(deque(maxlen=_MAX_WAITING), deque(maxlen=_MAX_WAITING)))
    add, clock = ended.seconds.append, time.perf_counter

    def call(*of: object, **options: object) -> Any:
        began = clock()
        try:
            return getattr(counted, name)(*of, **options)
        except BaseException as error:
            if is_failure(error):
                ended.failures.append(None)
            raise
        finally:
            add(clock() - began)

    return call
