"""Accounts: what is counted in the store, by several processes, and found again by a recount."""

import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fileservice.access import Quota, QuotaAccounts, QuotaExceeded, RecountIntervals
from fileservice.access.amounts import Amount
from fileservice.access.counter_records import counter_of, to_bytes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import Content, Owner, StorageUnavailable, Store
from fileservice.storage.local import LocalStore

CI = "token:ci"
QUOTA = Quota(bytes=100, files=3)
ALWAYS = RecountIntervals(regular=3600.0, before_refusal=-1.0, shortest=-1.0)
NEVER = RecountIntervals(regular=3600.0, before_refusal=3600.0, shortest=3600.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root, fsync=False)


class Process:
    """A process with accounts, in which a principal stores files under a quota."""

    def __init__(
        self, store: Store, intervals: RecountIntervals = NEVER, quota: Quota = QUOTA
    ) -> None:
        self.store = store
        self.quota = quota
        self.unfinished: list[tuple[str, str, int, int]] = []
        self.accounts = QuotaAccounts(store, InlineExecutor(), lambda: self.unfinished, intervals)
        self.account = self.accounts.account(CI, lambda: self.quota)

    def put(self, name: str, size: int) -> None:
        reservation = self.account.reserve(size)
        try:
            reservation.recheck(size)
            publish(self.store, name, size, reservation.owner)
            reservation.commit(size)
        finally:
            reservation.release()

    def delete(self, name: str) -> None:
        file = self.store.stat(FileName.parse(name))
        self.accounts.delete(file, partial(self.store.delete, file.name))


def publish(store: Store, name: str, size: int, owner: Owner | None) -> None:
    writer = store.writer(size)
    try:
        writer.write(bytes(size))
        writer.publish(FileName.parse(name), Content("text/plain"), owner)
    finally:
        writer.close()


def used(store: Store) -> Amount:
    return counter_of(CI, store.usage.read(CI)).total


def make_reservations_lapse(store: Store) -> None:
    """Set the clock of all reservations back, as if their processes had died long ago."""

    def change(record: bytes | None) -> bytes:
        counter = counter_of(CI, record)
        then = time.time() - 1
        lapsed = {n: replace(held, expires=then) for n, held in counter.reservations.items()}
        return to_bytes(replace(counter, reservations=lapsed))

    store.usage.update(CI, change)


def test_the_quota_holds_over_processes_and_restarts(root: Path, store: LocalStore) -> None:
    Process(store).put("a.txt", 60)
    with pytest.raises(QuotaExceeded) as error:
        Process(LocalStore(root, fsync=False)).put("b.txt", 41)
    assert (error.value.used, error.value.available) == (60, 40)
    Process(LocalStore(root, fsync=False)).put("b.txt", 40)
    assert used(store) == Amount(100, 2)


def test_files_stored_before_there_was_a_quota_are_counted_at_its_first_use(
    store: LocalStore,
) -> None:
    publish(store, "old.txt", 90, Owner(CI))
    publish(store, "other.txt", 90, Owner("token:other"))
    publish(store, "nobody.txt", 90, None)
    with pytest.raises(QuotaExceeded):
        Process(store).put("a.txt", 11)
    Process(store).put("a.txt", 10)
    assert used(store) == Amount(100, 2)


def test_deleting_a_file_gives_its_bytes_back_to_its_owner(store: LocalStore) -> None:
    process = Process(store)
    process.put("a.txt", 100)
    process.delete("a.txt")
    assert used(store) == Amount()
    process.put("b.txt", 100)


def test_deleting_the_file_of_an_owner_without_a_quota_writes_no_counter(
    store: LocalStore, root: Path
) -> None:
    publish(store, "a.txt", 10, Owner("token:other"))
    Process(store).delete("a.txt")
    assert list((root / ".fileservice/usage").iterdir()) == []


def test_a_principal_without_a_quota_has_no_counter(store: LocalStore, root: Path) -> None:
    Process(store, quota=Quota()).put("a.txt", 1000)
    assert list((root / ".fileservice/usage").iterdir()) == []
    assert store.stat(FileName.parse("a.txt")).owner == Owner(CI)


def test_files_removed_and_added_by_other_means_are_found_before_a_refusal(
    store: LocalStore, root: Path
) -> None:
    process = Process(store, ALWAYS)
    process.put("a.txt", 60)
    (root / "a.txt").unlink()
    process.put("b.txt", 50)
    shutil.copy2(root / "b.txt", root / "c.txt")  # with its attributes
    shutil.copyfile(root / "b.txt", root / "d.txt")  # without
    assert used(store) == Amount(50, 1)

    with pytest.raises(QuotaExceeded) as error:
        process.put("e.txt", 51)
    assert error.value.used == 100
    process.delete("b.txt")
    process.put("e.txt", 50)


def test_a_recount_does_not_wait_for_the_next_refusal_forever(store: LocalStore) -> None:
    publish(store, "old.txt", 30, Owner(CI))
    intervals = RecountIntervals(regular=-1.0, before_refusal=9.0)
    process = Process(store, intervals, Quota(bytes=100))
    process.put("a.txt", 10)
    publish(store, "old-2.txt", 30, Owner(CI))
    process.put("b.txt", 10)
    process.put("c.txt", 0)
    assert used(store).bytes == 80


@pytest.mark.parametrize("damage", ["removed", "torn", "another boot"])
def test_a_counter_that_was_lost_is_counted_again(
    store: LocalStore, root: Path, damage: str
) -> None:
    process = Process(store)
    process.put("a.txt", 60)
    [path] = (root / ".fileservice/usage").iterdir()
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(data[:200] + bytes(10) + data[210:])
    else:
        path.write_bytes(data.replace(data[9:17], b"00000000"))
    assert store.usage.read(CI) is None

    with pytest.raises(QuotaExceeded):
        process.put("b.txt", 41)
    process.put("b.txt", 40)
    assert used(store) == Amount(100, 2)


@pytest.mark.parametrize("deleting", [False, True])
def test_recounts_are_right_while_other_processes_upload_and_delete(
    root: Path, store: LocalStore, deleting: bool
) -> None:
    """Recounts end all the time; what they find must fit what is counted beside them."""
    quota, done = Quota(bytes=10**9), threading.Event()

    def upload(number: int) -> None:
        process = Process(LocalStore(root, fsync=False), quota=quota)
        for count in range(60):
            process.put(f"{number}-{count}.txt", 1000 + number)
            if deleting and count % 3:
                process.delete(f"{number}-{count - 1}.txt")
            counted = counter_of(CI, process.store.usage.read(CI))
            assert counted.total.files >= (count // 3 if deleting else count)

    def recount() -> None:
        recounts = 0
        process = Process(LocalStore(root, fsync=False), RecountIntervals(-1.0, -1.0), quota)
        while not done.is_set() or recounts < 5:
            process.put(f"recount-{recounts}.txt", 1)
            recounts += 1

    with ThreadPoolExecutor(5) as threads:
        recounting = threads.submit(recount)
        uploading = [threads.submit(upload, number) for number in range(4)]
        try:
            for each in uploading:
                each.result()
        finally:
            done.set()
        recounting.result()

    counter = counter_of(CI, store.usage.read(CI))
    files = [path for path in root.iterdir() if path.is_file()]
    actual = Amount(sum(path.stat().st_size for path in files), len(files))
    assert not counter.reservations
    if counter.exact:
        assert counter.stored == actual
    else:
        assert deleting
        assert counter.stored.bytes >= actual.bytes
    with pytest.raises(QuotaExceeded):
        Process(store, ALWAYS, Quota(bytes=10**9)).put("huge.txt", 10**9)
    assert counter_of(CI, store.usage.read(CI)).stored == actual


class TestKilledProcesses:
    """A process that dies at any line leaves a counter that never says too little, and heals."""

    @pytest.fixture
    def process(self, store: LocalStore) -> Process:
        return Process(store, ALWAYS)

    def test_after_it_reserved(self, process: Process, store: LocalStore) -> None:
        process.account.reserve(60)
        self.assert_heals(process, store, Amount(60, 1), Amount())

    def test_after_it_published(self, process: Process, store: LocalStore) -> None:
        reservation = process.account.reserve(60)
        publish(store, "a.txt", 60, reservation.owner)
        self.assert_heals(process, store, Amount(60, 1), Amount(60, 1))

    def test_after_it_deleted(self, process: Process, store: LocalStore) -> None:
        process.put("a.txt", 60)
        store.delete(FileName.parse("a.txt"))
        self.assert_heals(process, store, Amount(60, 1), Amount())

    def test_during_a_recount(self, process: Process, store: LocalStore) -> None:
        process.put("a.txt", 60)

        def begin(record: bytes | None) -> bytes:
            begun = counter_of(CI, record).begin_recount(time.time() - 100)
            assert begun
            return to_bytes(begun)

        store.usage.update(CI, begin)
        self.assert_heals(process, store, Amount(60, 1), Amount(60, 1))

    def assert_heals(
        self, process: Process, store: LocalStore, before: Amount, after: Amount
    ) -> None:
        assert used(store) == before
        with pytest.raises(QuotaExceeded):
            Process(store, NEVER).put("x.txt", 101 - before.bytes)
        make_reservations_lapse(store)
        assert used(store) == before
        process.put("y.txt", 100 - after.bytes)
        assert used(store) == Amount(100, after.files + 1)


class TestReservationsOfUploads:
    def test_an_unfinished_upload_keeps_its_reservation_through_recounts(
        self, store: LocalStore
    ) -> None:
        process = Process(store, ALWAYS)
        reservation = process.account.reserve(70)
        process.unfinished.append((CI, reservation.name, 70, 1))
        make_reservations_lapse(store)
        for _ in range(3):
            with pytest.raises(QuotaExceeded):
                process.put("a.txt", 31)
        process.put("a.txt", 30)

        process.accounts.release(CI, reservation.name, False)
        assert used(store) == Amount(30, 1)

    def test_reservations_of_unfinished_uploads_are_restored_with_a_lost_counter(
        self, store: LocalStore, root: Path
    ) -> None:
        process = Process(store)
        reservation = process.account.reserve(70)
        process.unfinished.append((CI, reservation.name, 70, 1))
        [path] = (root / ".fileservice/usage").iterdir()
        path.unlink()
        with pytest.raises(QuotaExceeded):
            process.put("a.txt", 31)

    def test_a_resumed_reservation_is_not_counted_twice(self, store: LocalStore) -> None:
        process = Process(store)
        name = process.account.reserve(70).name
        resumed = Process(store).account.reserve(100, name=name)
        assert used(store) == Amount(100, 1)
        resumed.commit(100)
        assert used(store) == Amount(100, 1)


class TestChangedQuotas:
    def test_a_quota_that_was_lowered_counts_at_publication(self, store: LocalStore) -> None:
        process = Process(store)
        reservation = process.account.reserve(60)
        process.quota = Quota(bytes=59)
        with pytest.raises(QuotaExceeded):
            reservation.recheck(60)

    def test_a_quota_that_was_set_meanwhile_counts_at_publication(self, store: LocalStore) -> None:
        Process(store).put("a.txt", 60)
        process = Process(store, quota=Quota())
        reservation = process.account.reserve(60)
        process.quota = QUOTA
        with pytest.raises(QuotaExceeded):
            reservation.recheck(60)

    def test_a_quota_that_was_removed_refuses_nothing_and_the_file_still_counts(
        self, store: LocalStore
    ) -> None:
        process = Process(store)
        reservation = process.account.reserve(60)
        process.quota = Quota()
        reservation.recheck(1000)
        reservation.commit(1000)
        assert used(store) == Amount(1000, 1)

    def test_files_stored_while_there_was_no_quota_count_when_there_is_one_again(
        self, store: LocalStore
    ) -> None:
        process = Process(store)
        process.put("a.txt", 30)
        process.quota = Quota()
        process.put("b.txt", 60)
        process.quota = QUOTA
        assert used(store) == Amount(90, 2)
        with pytest.raises(QuotaExceeded):
            process.put("c.txt", 11)

    def test_files_stored_without_a_quota_are_counted_once_if_a_recount_runs(
        self, store: LocalStore
    ) -> None:
        process = Process(store, ALWAYS)
        process.put("a.txt", 30)
        process.quota = Quota()
        process.put("b.txt", 60)
        process.quota = QUOTA
        with pytest.raises(QuotaExceeded):
            process.put("c.txt", 11)
        assert used(store) == Amount(90, 2)


def test_a_store_that_fails_when_an_upload_ends_fails_no_upload(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is published by then. The reservation lapses, and a recount finds the file."""
    process = Process(store)
    reservation = process.account.reserve(60)

    def fail(owner: str, change: Callable[[bytes | None], bytes | None]) -> None:
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(store.usage, "update", fail)
    reservation.commit(60)
    process.accounts.release(CI, "x", False)


def test_the_attribute_names_the_owner_and_the_reservation(root: Path, store: LocalStore) -> None:
    Process(store).put("a.txt", 1)
    owner = os.getxattr(root / "a.txt", "user.fileservice.owner").decode()
    assert re.fullmatch(r"token:ci;[0-9a-f]{16}\.[0-9a-f]{16}", owner)
