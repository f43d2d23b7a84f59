"""Functions that run in processes of their own, which share memory with the test."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier

_FORK = multiprocessing.get_context("fork")


def barrier(number: int) -> Barrier:
    """Return what so many processes can wait for each other with."""
    return _FORK.Barrier(number)


def in_processes(number: int, function: Callable[[], int]) -> list[int]:
    """Call `function` at the same time in so many processes; return what each returned."""
    start, results = _FORK.Barrier(number), _FORK.SimpleQueue()

    def run() -> None:
        start.wait()
        results.put(function())

    processes = [_FORK.Process(target=run) for _ in range(number)]
    for process in processes:
        process.start()
    returned = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return returned


def in_threads(number: int, function: Callable[[], int]) -> list[int]:
    """Call `function` at the same time in so many threads; return what each returned."""
    start, returned = threading.Barrier(number), []

    def run() -> None:
        start.wait()
        returned.append(function())

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return returned


@contextmanager
def waiting_process(function: Callable[[], object]) -> Iterator[BaseProcess]:
    """Run a process that has called `function` and waits; kill it when the context ends."""
    called, never = _FORK.Event(), _FORK.Event()

    def run() -> None:
        function()
        called.set()
        never.wait()

    process = _FORK.Process(target=run)
    process.start()
    try:
        assert called.wait(60)
        yield process
    finally:
        process.kill()
        process.join()
