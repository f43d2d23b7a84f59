"""The ways to offload: into gevent's threads, or, under a server with a thread a request, not."""

from collections.abc import Callable
from typing import Generic, cast

import gevent
from gevent.event import AsyncResult

from fileservice.upload.offloading import P, T


class ToThreads:
    """Runs work in gevent's thread pool while other greenlets go on."""

    def __call__(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        return self.start(function, *arguments, **keywords).result()

    def start(
        self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> "_InThread[T]":
        pool = gevent.get_hub().threadpool
        return _InThread(pool.spawn(_Done.of, function, *arguments, **keywords))


class Inline:
    """Runs work at once, where it is."""

    def __call__(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        return function(*arguments, **keywords)

    def start(
        self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> "_Done[T]":
        return _Done.of(function, *arguments, **keywords)


class _Done(Generic[T]):
    """Work that has ended, well or with an error."""

    def __init__(self, value: T | None, error: BaseException | None) -> None:
        self._value = value
        self._error = error

    @classmethod
    def of(
        cls, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> "_Done[T]":
        try:
            return cls(function(*arguments, **keywords), None)
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            return cls(None, error)

    def wait(self) -> None:
        pass

    def result(self) -> T:
        if self._error:
            raise self._error
        return cast(T, self._value)


class _InThread(Generic[T]):
    """Work in a thread; its error is kept, since the pool prints those that reach it."""

    def __init__(self, task: "AsyncResult[_Done[T]]") -> None:
        self._task = task

    def wait(self) -> None:
        try:
            self._task.wait()
        except BaseException:
            # The greenlet is being killed, but the thread still works with what the caller is
            # about to close.
            self._task.wait()
            raise

    def result(self) -> T:
        self.wait()
        return cast(_Done[T], self._task.get()).result()
