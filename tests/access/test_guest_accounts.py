"""Guests: what they upload counts for the link and for its maker, whatever happens meanwhile."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fileservice.access import (
    GuestAccount,
    OwnerQuotaExceeded,
    Quota,
    QuotaAccounts,
    QuotaExceeded,
    RecountIntervals,
)
from fileservice.access.accounts import open_account
from fileservice.access.amounts import Amount
from fileservice.access.counter_records import counter_of
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import OwnedFile, Owner
from fileservice.storage.local import LocalStore
from tests.access.test_accounts import publish

MAKER, GUEST, OTHER = "token:ci", "link:" + "1" * 32, "link:" + "2" * 32
ALWAYS = RecountIntervals(regular=3600.0, before_refusal=-1.0, shortest=-1.0)


class Process:
    """A process in which guests upload under the prefix "g-"; nothing else is in the store."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.quotas = {MAKER: Quota(bytes=100), GUEST: Quota(60, 2), OTHER: Quota(60, 2)}
        self.unfinished: list[tuple[str, str, int, int]] = []
        self.accounts = QuotaAccounts(store, InlineExecutor(), lambda: self.unfinished, ALWAYS)
        for owner in (GUEST, OTHER):
            open_account(store.usage, owner)

    def account(self, guest: str = GUEST) -> GuestAccount:
        return GuestAccount(
            self.accounts.account(guest, lambda: self.quotas[guest], "g-"),
            self.accounts.account(MAKER, lambda: self.quotas[MAKER]),
        )

    def put(self, name: str, size: int, guest: str = GUEST) -> Owner:
        reservation = self.account(guest).reserve(size)
        try:
            reservation.recheck(size)
            publish(self.store, name, size, reservation.owner)
            reservation.commit(size)
        finally:
            reservation.release()
        return reservation.owner

    def used(self, owner: str) -> Amount:
        return counter_of(owner, self.store.usage.read(owner)).total

    def amounts(self) -> tuple[Amount, Amount]:
        return self.used(GUEST), self.used(MAKER)


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(LocalStore(tmp_path / "store", fsync=False))


def test_file_of_a_guest_counts_in_both_accounts_and_its_deletion_as_well(process: Process) -> None:
    owner = process.put("g-a.txt", 10)
    assert (owner.principal, owner.guest) == (MAKER, GUEST)
    assert process.amounts() == (Amount(10, 1), Amount(10, 1))
    file = process.store.stat(FileName.parse("g-a.txt"))
    assert file.owner == owner
    process.accounts.delete(file, partial(process.store.delete, file.name))
    assert process.amounts() == (Amount(), Amount())


def test_limit_of_the_link_and_quota_of_the_maker_both_hold(process: Process) -> None:
    process.put("g-a.txt", 50)
    with pytest.raises(QuotaExceeded) as own:
        process.put("g-b.txt", 11)
    assert own.value.limit == 60
    process.put("g-b.txt", 45, OTHER)
    with pytest.raises(OwnerQuotaExceeded) as owners:
        process.put("g-c.txt", 10)
    assert "100" not in str(owners.value)
    assert process.amounts() == (Amount(50, 1), Amount(95, 2))


def test_what_the_quota_of_the_maker_refuses_is_not_held_for_the_link(process: Process) -> None:
    process.quotas[MAKER] = Quota(bytes=5)
    for _ in range(3):
        with pytest.raises(OwnerQuotaExceeded):
            process.account().reserve(10)
    assert process.amounts() == (Amount(), Amount())


def test_upload_that_grows_is_stopped_by_either_account(process: Process) -> None:
    reservation = process.account().reserve(0)
    reservation.hold(60)
    with pytest.raises(QuotaExceeded):
        reservation.hold(61)
    process.quotas[MAKER] = Quota(bytes=30)
    with pytest.raises(OwnerQuotaExceeded):
        reservation.recheck(60)
    reservation.release()
    assert process.amounts() == (Amount(), Amount())


def test_link_of_a_maker_without_a_quota_is_limited_nevertheless(process: Process) -> None:
    process.quotas[MAKER] = Quota()
    process.put("g-a.txt", 30)
    with pytest.raises(QuotaExceeded):
        process.put("g-b.txt", 31)
    assert process.store.usage.read(MAKER) is None


def test_reservations_are_resumed_by_the_name_of_both(process: Process) -> None:
    begun = process.account().reserve(40)
    resumed = process.account().reserve(40, name=begun.name)
    assert resumed.name == begun.name
    assert process.amounts() == (Amount(40, 1), Amount(40, 1))
    process.accounts.release(GUEST, begun.name, False)
    assert process.amounts() == (Amount(), Amount())


def test_resumed_upload_keeps_what_it_has_reserved_if_it_may_have_no_more(process: Process) -> None:
    begun = process.account().reserve(40)
    process.quotas[MAKER] = Quota(bytes=45)
    with pytest.raises(OwnerQuotaExceeded):
        process.account().reserve(50, name=begun.name)
    assert process.used(GUEST).files == 1


@pytest.mark.parametrize("maker_quota", [Quota(bytes=100), Quota()], ids=["quota", "no quota"])
def test_lost_counters_are_counted_again_with_the_uploads_that_have_not_ended(
    process: Process, maker_quota: Quota
) -> None:
    process.quotas[MAKER] = maker_quota
    process.put("g-a.txt", 10)
    process.put("g-b.txt", 20, OTHER)
    unfinished = process.account().reserve(30, seconds=3600)
    process.unfinished = [(GUEST, unfinished.name, 30, 1)]
    for owner in (MAKER, GUEST):
        process.store.usage.remove(owner)
    with pytest.raises(QuotaExceeded):
        process.put("g-c.txt", 21)
    assert process.used(GUEST) == Amount(40, 2)
    if maker_quota != Quota():
        process.account(OTHER).reserve(1).release()
        assert process.used(MAKER) == Amount(60, 3)


def test_recount_for_a_link_reads_no_names_outside_its_prefix(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(process.store, "other.txt", 5, Owner(MAKER, "", GUEST))
    asked: list[str] = []
    owned_files = process.store.usage.owned_files

    def record(prefix: str = "") -> Iterator[OwnedFile]:
        asked.append(prefix)
        return owned_files(prefix)

    process.quotas[MAKER] = Quota()
    process.store.usage.remove(GUEST)
    monkeypatch.setattr(process.store.usage, "owned_files", record)
    process.put("g-a.txt", 10)
    assert asked == ["g-"]
    assert process.used(GUEST) == Amount(10, 1)


def test_process_that_dies_after_the_publication_makes_neither_account_say_too_little(
    process: Process,
) -> None:
    reservation = process.account().reserve(40)
    publish(process.store, "g-a.txt", 40, reservation.owner)  # and it is never counted
    assert process.amounts() == (Amount(40, 1), Amount(40, 1))
    with pytest.raises(QuotaExceeded):
        process.put("g-b.txt", 21)


def test_parts_cover_the_file_that_is_made_of_them_in_both_accounts(process: Process) -> None:
    parts = [process.account().reserve(25, files=0) for _ in range(2)]
    names = [part.name for part in parts]
    whole = process.account().reserve(50, covered_by=names)
    assert process.amounts() == (Amount(50, 1), Amount(50, 1))
    publish(process.store, "g-a.txt", 50, whole.owner)
    whole.commit(50)
    for part in parts:
        part.release()
    assert process.amounts() == (Amount(50, 1), Amount(50, 1))
