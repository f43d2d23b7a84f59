"""Syncs that are shared: nobody returns before a sync that began after its call has ended."""

import errno
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from fileservice.storage.local.group_commit import GroupCommit

WAIT = 30


class WatchedLock:
    """A lock that tells when somebody is about to wait for it."""

    waiting = threading.Semaphore(0)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        self.waiting.release()
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()


class Disk:
    """Begins a sync when it is called, and ends it when it may."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.syncs = 0
        self.error: OSError | None = None

    def sync(self) -> None:
        self.syncs += 1
        self.begun.release()
        assert self.may_end.acquire(timeout=WAIT)
        if self.error:
            raise self.error


@contextmanager
def three_that_come_during_a_sync(disk: Disk) -> Iterator[tuple[GroupCommit, list]]:
    """A sync is under way; three callers wait for the next one."""
    lock_type = type("Lock", (WatchedLock,), {"waiting": threading.Semaphore(0)})
    commit = GroupCommit(disk.sync, lock_type)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(commit.wait)
        assert disk.begun.acquire(timeout=WAIT)
        waiting = [threads.submit(commit.wait) for _ in range(3)]
        for _ in range(4):  # with the first, which did not have to wait
            assert lock_type.waiting.acquire(timeout=WAIT)
        disk.may_end.release()
        first.result(WAIT)
        assert disk.begun.acquire(timeout=WAIT)
        yield commit, waiting


def test_all_who_come_while_a_sync_is_under_way_share_the_next_one() -> None:
    disk = Disk()
    with three_that_come_during_a_sync(disk) as (_, waiting):
        assert not any(caller.done() for caller in waiting), "the sync began before their names"
        disk.may_end.release()
        for caller in waiting:
            caller.result(WAIT)
    assert disk.syncs == 2


def test_all_who_share_a_sync_that_fails_get_the_error_and_the_next_one_is_tried_again() -> None:
    disk = Disk()
    with three_that_come_during_a_sync(disk) as (commit, waiting):
        disk.error = OSError(errno.EIO, "the disk is broken")
        disk.may_end.release()
        for caller in waiting:
            with pytest.raises(OSError, match="the disk is broken") as raised:
                caller.result(WAIT)
            assert raised.value.errno == errno.EIO
        disk.error = None
        disk.may_end.release()
        commit.wait()
    assert disk.syncs == 3


def test_what_each_of_many_threads_has_done_is_durable_when_its_call_returns() -> None:
    done: set[tuple[int, int]] = set()
    durable: set[tuple[int, int]] = set()
    concurrent = 0

    def sync() -> None:
        nonlocal concurrent
        concurrent += 1
        assert concurrent == 1
        found = frozenset(done)
        durable.update(found)
        concurrent -= 1

    commit = GroupCommit(sync, threading.Lock)

    def work(thread: int) -> None:
        for number in range(300):
            done.add((thread, number))
            commit.wait()
            assert (thread, number) in durable

    with ThreadPoolExecutor(8) as threads:
        for finished in [threads.submit(work, thread) for thread in range(8)]:
            finished.result(WAIT)
    assert len(durable) == 8 * 300
