"""Reservations of space by several processes, and on disks that have less than they say."""

import contextlib
import errno
import os
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fileservice.storage import StorageFull
from fileservice.storage.local import LocalStore, space
from tests.storage.local.conftest import Mount

MIB = 1 << 20


def test_reservations_of_two_processes_leave_the_minimum_of_free_space(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = mount("tmpfs", "size=12m") / "store"
    store, another_store = (LocalStore(directory, fsync=False) for _ in range(2))
    allocate = space.allocate
    second: list[Future[int | None]] = []

    with (
        ThreadPoolExecutor(1) as thread,
        contextlib.closing(store.writer()) as one,
        contextlib.closing(another_store.writer()) as two,
    ):

        def reserve_meanwhile(descriptor: int, count: int) -> None:
            monkeypatch.setattr(space, "allocate", allocate)
            second.append(thread.submit(another_store.reserve_space, two, 6 * MIB, min_free=MIB))
            with pytest.raises(TimeoutError):
                second[0].result(0.3)  # it waits until the first one is done
            allocate(descriptor, count)

        monkeypatch.setattr(space, "allocate", reserve_meanwhile)
        assert store.reserve_space(one, 6 * MIB, min_free=MIB) == 6 * MIB
        with pytest.raises(StorageFull):
            second[0].result(30)
        assert (store.free_space() or 0) >= MIB


def test_reservation_in_steps_lets_no_other_process_reserve_before_it_ends(mount: Mount) -> None:
    directory = mount("tmpfs", "size=40m") / "store"
    store, another_store = (LocalStore(directory, fsync=False) for _ in range(2))
    with (
        ThreadPoolExecutor(1) as thread,
        contextlib.closing(store.writer()) as one,
        contextlib.closing(another_store.writer()) as two,
    ):
        steps = store.reserve_in_steps(one, 30 * MIB, min_free=MIB)
        assert next(steps) < 30 * MIB
        second = thread.submit(another_store.reserve_space, two, 20 * MIB, min_free=MIB)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        one.write(bytes(MIB))
        assert list(steps)[-1] == 30 * MIB
        with pytest.raises(StorageFull):
            second.result(30)
        assert (store.free_space() or 0) >= MIB


def test_reservation_in_steps_of_more_than_there_is_takes_nothing(mount: Mount) -> None:
    store = LocalStore(mount("tmpfs", "size=40m") / "store", fsync=False)
    free = store.free_space()
    with contextlib.closing(store.writer()) as writer:
        with pytest.raises(StorageFull):
            next(store.reserve_in_steps(writer, 40 * MIB, min_free=MIB))
        assert store.free_space() == free


def test_nothing_is_reserved_in_memory_as_long_as_there_is_plenty(mount: Mount) -> None:
    store = LocalStore(mount("tmpfs", "size=64g") / "store", fsync=False)
    plenty, free = 8 << 30, store.free_space() or 0
    with contextlib.closing(store.writer()) as writer:
        writer.write(bytes(MIB))
        assert store.reserve_space(writer, 40 * MIB) == 3 * MIB
        assert list(store.reserve_in_steps(writer, 40 * MIB)) == [3 * MIB]
        assert store.reserve_space(writer, MIB + 1, ahead=MIB) == MIB + 1
        assert free - (store.free_space() or 0) < 2 * MIB

        scarce = (store.free_space() or 0) - plenty + 1
        assert store.reserve_space(writer, 40 * MIB, min_free=scarce) == 40 * MIB
        assert free - (store.free_space() or 0) >= 40 * MIB


def test_space_is_reserved_in_memory_for_a_file_that_takes_much_of_it(mount: Mount) -> None:
    store = LocalStore(mount("tmpfs", "size=16g") / "store", fsync=False)
    min_free = (store.free_space() or 0) - (9 << 30)  # so that there are 9 GiB
    with contextlib.closing(store.writer()) as writer:
        assert store.reserve_space(writer, 512 * MIB, min_free=min_free) == 2 * MIB
        with contextlib.closing(
            store.reserve_in_steps(writer, 600 * MIB, min_free=min_free)
        ) as steps:
            assert next(steps) > 2 * MIB
        with pytest.raises(StorageFull):
            store.reserve_space(writer, 10 << 30, min_free=min_free)


@pytest.mark.usefixtures("on_disk")
def test_reservation_in_steps_that_is_closed_can_be_continued(store: LocalStore) -> None:
    with contextlib.closing(store.writer()) as writer:
        with contextlib.closing(store.reserve_in_steps(writer, 30 * MIB)) as steps:
            begun = next(steps)
        assert begun < 30 * MIB
        assert list(store.reserve_in_steps(writer, 30 * MIB))[-1] >= 30 * MIB


@pytest.mark.usefixtures("on_disk")
def test_space_is_reserved_without_what_is_ahead_if_that_is_refused(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota may leave less than the file system says is free."""
    allocate = space.allocate

    def refuse_more(descriptor: int, count: int) -> None:
        if count > MIB:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        allocate(descriptor, count)

    monkeypatch.setattr(space, "allocate", refuse_more)
    with contextlib.closing(store.writer()) as writer:
        assert (store.reserve_space(writer, MIB, ahead=MIB) or 0) >= MIB
        with pytest.raises(StorageFull):
            store.reserve_space(writer, 2 * MIB)
