"""Files that expire, on a disk whose power is cut."""

from itertools import count
from pathlib import Path

import pytest

from fileservice.storage.local import LocalStore
from tests.storage.contract.expiry import FAR, OVER, due
from tests.storage.contract.files import names, publish
from tests.storage.local.killed_at import killed_at
from tests.support.disk import Disk


def open_store(path: Path, *, now: float, fsync: bool = True) -> LocalStore:
    return LocalStore(path / "store", fsync=fsync, clock=lambda: now)


@pytest.mark.parametrize(
    "fsync",
    [True, pytest.param(False, marks=pytest.mark.thorough, id="control without fsync")],
)
def test_acknowledged_file_is_due_and_acknowledged_removal_holds_after_a_power_cut(
    disk: Disk, fsync: bool
) -> None:
    store = open_store(disk.path, now=OVER, fsync=fsync)
    disk.unmount()  # the control is to lose files, not the store
    disk.mount()
    staying = [f"{number}-stays.txt" for number in range(10)]
    for name in staying:
        publish(store, name, expires=FAR)
    for number in range(10):
        store.expired.remove(publish(store, f"{number}-goes.txt", expires=OVER))

    disk.cut_power()
    disk.power_up()

    kept = names(open_store(disk.path, now=OVER - 1))
    index = due(open_store(disk.path, now=FAR))
    if fsync:
        assert (kept, sorted(index)) == (staying, staying)
    else:
        assert kept != staying


@pytest.mark.thorough
def test_file_is_due_if_it_is_visible_after_kill_9_and_a_power_cut_at_any_line(disk: Disk) -> None:
    open_store(disk.path, now=OVER)
    visible = []
    for line in count(0, 3):
        store = open_store(disk.path, now=OVER)
        died = killed_at(line, lambda store=store: publish(store, "a.txt", expires=OVER))
        disk.cut_power()
        disk.power_up()

        store = open_store(disk.path, now=OVER)
        visible.append(names(open_store(disk.path, now=OVER - 1)) == ["a.txt"])
        assert due(store) == (["a.txt"] if visible[-1] else [])
        for file in store.expired.due():
            store.expired.remove(file)
        if not died:
            break

    assert visible[-1]
    assert not visible[0]
