"""Calls of the store: how many there are of each kind, how many fail, and how long they take."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")

_MAX_WAITING = 10_000
"""Calls that nobody has taken; without a worker of ours, nobody does."""


StoreCall = tuple[str, float, bool]
"""A call that has ended: its name, its seconds, and whether it has failed."""

_ended: deque[StoreCall] = deque(maxlen=_MAX_WAITING)
"""Threads may append, and none of them waits for another one."""


def take_store_calls() -> list[StoreCall]:
    """Return the calls that have ended since this was called before."""
    return [_ended.popleft() for _ in range(len(_ended))]


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
    def call(*of: object, **options: object) -> Any:
        began = time.perf_counter()
        try:
            result = getattr(counted, name)(*of, **options)
        except BaseException as error:
            _ended.append((name, time.perf_counter() - began, is_failure(error)))
            raise
        _ended.append((name, time.perf_counter() - began, False))
        return result

    return call
