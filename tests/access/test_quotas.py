"""Usage counters: the sum of what is stored and reserved, through every order of events."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.access import Quota, QuotaExceeded
from fileservice.access.amounts import LEASE, Amount, ReplacedFile
from fileservice.access.counter_records import counter_of, from_bytes, to_bytes
from fileservice.access.quotas import UsageCounter
from tests.support.rows import every_row

NOW = 1_000_000.0
LATER = NOW + LEASE + 1
QUOTA = Quota(bytes=100, files=3)
EMPTY = UsageCounter("token:ci", counted=NOW, generation="g")


def reserve(
    counter: UsageCounter, size: int, files: int = 1, now: float = NOW
) -> tuple[UsageCounter, str]:
    name = counter.new_reservation()
    return counter.hold(QUOTA, name, Amount(size, files), now), name


def store(counter: UsageCounter, size: int) -> tuple[UsageCounter, str]:
    counter, name = reserve(counter, size)
    return counter.commit(name, size), name


def recounted(counter: UsageCounter, counted: Amount, now: float = NOW) -> UsageCounter:
    begun = counter.begin_recount(now)
    assert begun
    finished = begun.finish_recount(begun.generation, counted, {}, now)
    assert finished
    return finished


class TestReservations:
    def test_the_sum_of_files_and_reservations_cannot_exceed_the_quota(self) -> None:
        counter, _ = store(EMPTY, 60)
        counter, _ = reserve(counter, 30)

        with pytest.raises(QuotaExceeded) as error:
            reserve(counter, 11)

        raised = error.value
        assert (raised.resource, raised.limit, raised.used, raised.available) == (
            "bytes", 100, 90, 10,
        )  # fmt: skip
        reserve(counter, 10)

    def test_the_number_of_files_cannot_exceed_the_quota(self) -> None:
        counter = EMPTY
        for _ in range(3):
            counter, _ = reserve(counter, 0)
        with pytest.raises(QuotaExceeded, match="the quota is 3 files"):
            reserve(counter, 0)
        reserve(counter, 1, files=0)  # a part of a file is none

    @every_row("quota", [Quota(bytes=10), Quota(files=10)])
    def test_a_quota_may_limit_bytes_or_files_alone(self, quota: Quota) -> None:
        amount = Amount(1000, 1) if quota.bytes is None else Amount(10, 1)
        counter = EMPTY.hold(quota, "g.1", amount, NOW)
        assert counter.total == amount

    def test_a_released_reservation_can_be_used_by_another_upload(self) -> None:
        counter, name = reserve(EMPTY, 100)
        counter, _ = reserve(counter.release(name), 100)
        assert counter.total == Amount(100, 1)

    def test_a_committed_file_takes_the_place_of_its_reservation(self) -> None:
        counter, name = reserve(EMPTY, 100)
        counter = counter.commit(name, 40)
        assert counter.total == counter.stored == Amount(40, 1)
        assert counter.exact

    def test_a_reservation_that_grows_is_refused_past_the_quota_and_stays_as_it_was(self) -> None:
        counter, name = reserve(EMPTY, 50)
        counter = counter.hold(QUOTA, name, Amount(100, 1), NOW)
        with pytest.raises(QuotaExceeded):
            counter.hold(QUOTA, name, Amount(101, 1), NOW)
        assert counter.total == Amount(100, 1)

    def test_bytes_reserved_ahead_leave_most_of_the_rest_to_others(self) -> None:
        counter = EMPTY.hold(QUOTA, "g.1", Amount(20, 1), NOW, ahead=50)
        assert counter.total == Amount(30, 1)
        assert counter.hold(QUOTA, "g.2", Amount(70, 1), NOW, ahead=50).total.bytes == 100

    def test_a_granted_reservation_stays_when_the_quota_is_lowered_until_it_is_looked_at_again(
        self,
    ) -> None:
        counter, name = reserve(EMPTY, 50)
        lower = Quota(bytes=49)
        counter.hold(lower, name, Amount(50, 1), NOW)
        with pytest.raises(QuotaExceeded):
            counter.hold(lower, name, Amount(50, 1), NOW, again=True)

    def test_bytes_of_other_reservations_are_not_counted_twice(self) -> None:
        counter, first = reserve(EMPTY, 60, files=0)
        counter, second = reserve(counter, 40, files=0)
        assert counter.reserved_by([first, second, "unknown"]) == 100
        counter, name = reserve(counter, 0)
        counter = counter.commit(name, 100).release(first).release(second)
        assert counter.total == Amount(100, 1)

    def test_a_deleted_file_is_given_back(self) -> None:
        counter, name = store(EMPTY, 100)
        assert counter.delete(name, 100, counter.basis).total == Amount()

    def test_a_file_that_is_replaced_before_it_is_counted_does_not_count(self) -> None:
        """The process that has published it is slower than the one that replaces it."""
        counter, name = reserve(EMPTY, 60)
        counter = counter.delete(name, 60, counter.basis)
        assert counter.total == Amount()

        counter = counter.commit(name, 60)

        assert (counter.total, counter.exact, counter.reservations) == (Amount(), True, {})

    def test_a_deleted_file_whose_process_died_before_it_was_counted_is_given_back_once(
        self,
    ) -> None:
        counter, _ = store(EMPTY, 40)
        counter, name = reserve(counter, 60)
        counter = counter.delete(name, 60, counter.basis)
        assert counter.total == Amount(40, 1)
        assert counter.withdraw(name, NOW).total == Amount(40, 1)  # its upload has expired

    def test_an_upload_is_removed_after_its_file_was_replaced_and_before_that_is_given_back(
        self,
    ) -> None:
        """Its process died after it had published the file, and the upload expires."""
        counter, old = reserve(EMPTY, 60)
        basis, replaces = counter.basis, ReplacedFile(old, 60)
        new = counter.new_reservation()
        counter = counter.hold(QUOTA, new, Amount(80, 1), NOW, replaces=replaces)

        counter = counter.withdraw(old, NOW)
        assert counter.total == Amount(80, 1)
        counter = counter.delete(old, 60, basis).commit(new, 80)

        assert counter.total == Amount(80, 1)
        assert recounted(counter, Amount(80, 1), LATER).reservations == {}

    def test_what_stays_of_removed_uploads_is_dropped_once_it_has_lapsed(self) -> None:
        counter, names = EMPTY, []
        for now in (NOW, NOW, LATER):
            counter, name = reserve(counter, 10, now=now)
            names.append(name)
            counter = counter.withdraw(name, now)
        assert list(counter.reservations) == names[2:]
        assert not counter.has_lapsed_reservations(2 * LATER), "a recount would drop no amount"

    def test_more_deletions_than_files_do_not_raise_the_quota(self) -> None:
        counter = EMPTY.delete("", 1000, EMPTY.basis)
        assert counter.total == Amount()
        with pytest.raises(QuotaExceeded):
            reserve(counter, 101)


class TestReplacing:
    @staticmethod
    def replacing(
        counter: UsageCounter, old: str, size: int, now: float = NOW
    ) -> tuple[UsageCounter, str]:
        """Reserve `size` bytes for a file that replaces the one of 60 bytes stored as `old`."""
        name, replaces = counter.new_reservation(), ReplacedFile(old, 60)
        return counter.hold(QUOTA, name, Amount(size, 1), now, replaces=replaces), name

    def test_the_difference_is_reserved(self) -> None:
        counter, old = store(EMPTY, 60)
        assert self.replacing(counter, old, 100)[0].total == Amount(100, 1)
        assert self.replacing(counter, old, 10)[0].total == Amount(60, 1)
        with pytest.raises(QuotaExceeded):
            self.replacing(counter, old, 101)

    def test_what_is_given_back_of_the_old_file_goes_to_the_upload_that_replaces_it(self) -> None:
        counter, old = store(EMPTY, 60)
        counter, name = self.replacing(counter, old, 90)
        counter = counter.delete(old, 60, counter.basis)
        assert counter.total == Amount(90, 1)
        with pytest.raises(QuotaExceeded):
            reserve(counter, 11)
        assert counter.commit(name, 90).total == Amount(90, 1)
        assert counter.release(name).total == Amount()

    def test_owner_who_has_more_than_the_quota_by_now_reserves_all_bytes(self) -> None:
        counter, old = store(EMPTY, 60)
        counter = replace(counter, stored=Amount(160, 2))
        counter, name = self.replacing(counter, old, 50)
        assert counter.reservations[name].amount == Amount(50, 1)
        assert counter.delete(old, 60, counter.basis).total == Amount(150, 2)

    def test_only_one_upload_counts_less_because_of_one_file(self) -> None:
        counter, old = store(EMPTY, 60)
        counter, first = self.replacing(counter, old, 60)
        assert self.replacing(counter, old, 40)[0].total == Amount(100, 2)
        with pytest.raises(QuotaExceeded):
            self.replacing(counter, old, 41)
        assert self.replacing(counter.release(first), old, 41)[0].total == Amount(60, 1)

    def test_a_recount_that_has_not_seen_the_old_file_counts_the_new_one_whole(self) -> None:
        """A process may have replaced the file and died before it counted that."""
        counter, old = store(EMPTY, 60)
        counter, _ = self.replacing(counter, old, 90)
        begun = counter.begin_recount(NOW)
        assert begun
        for found, total in ((set(), 90), ({old}, 30)):
            finished = begun.finish_recount(begun.generation, Amount(), {}, NOW, found=found)
            assert finished
            assert finished.total.bytes == total

    def test_it_survives_in_the_record(self) -> None:
        counter, old = store(EMPTY, 60)
        counter, _ = self.replacing(counter, old, 90)
        counter = counter.begin_recount(NOW) or counter
        assert from_bytes(to_bytes(counter)) == counter


class TestLapsedReservations:
    def test_a_lapsed_reservation_counts_until_a_recount_drops_it(self) -> None:
        """Its process may have published the file before it died."""
        counter, _ = reserve(EMPTY, 100)
        assert counter.has_lapsed_reservations(LATER)
        with pytest.raises(QuotaExceeded):
            reserve(counter, 1, now=LATER)

        for found in (Amount(), Amount(100, 1)):
            assert recounted(counter, found, LATER).total == found

    def test_a_renewed_reservation_does_not_lapse(self) -> None:
        counter, name = reserve(EMPTY, 100)
        counter = counter.hold(QUOTA, name, Amount(100, 1), LATER)
        assert not counter.has_lapsed_reservations(LATER)
        assert recounted(counter, Amount(), LATER).total == Amount(100, 1)

    def test_a_dropped_reservation_is_made_again_by_the_upload_that_lives_after_all(self) -> None:
        counter, name = reserve(EMPTY, 100)
        counter = recounted(counter, Amount(), LATER)
        assert counter.hold(QUOTA, name, Amount(100, 1), LATER).total == Amount(100, 1)
        counter, _ = reserve(counter, 50, now=LATER)
        with pytest.raises(QuotaExceeded):
            counter.hold(QUOTA, name, Amount(100, 1), LATER)

    def test_a_file_committed_without_its_reservation_counts_and_is_not_exact(self) -> None:
        counter, name = reserve(EMPTY, 100)
        counter = recounted(counter, Amount(100, 1), LATER).commit(name, 100)
        assert counter.total.bytes >= 100
        assert not counter.exact
        assert recounted(counter, Amount(100, 1), LATER).exact


class TestRecounts:
    def test_a_recount_finds_what_came_and_went_by_other_means(self) -> None:
        counter, _ = store(EMPTY, 60)
        assert recounted(counter, Amount(17, 2)).total == Amount(17, 2)

    def test_the_old_count_decides_while_a_recount_runs(self) -> None:
        counter, _ = store(EMPTY, 60)
        begun = counter.begin_recount(NOW)
        assert begun
        with pytest.raises(QuotaExceeded):
            reserve(begun, 41)

    @every_row("reserved_before", [True, False])
    @every_row("deleted", [True, False])
    def test_files_committed_during_a_recount_are_left_out_of_it_and_added(
        self, reserved_before: bool, deleted: bool
    ) -> None:
        counter, name = reserve(EMPTY, 10) if reserved_before else (EMPTY, "")
        counter = counter.begin_recount(NOW) or counter
        if not reserved_before:
            counter, name = reserve(counter, 10)
        assert counter.recount
        assert counter.recount.leaves_out(name)
        counter = counter.commit(name, 10)
        if deleted:
            counter = counter.delete(name, 10, counter.basis)

        finished = counter.finish_recount(counter.generation, Amount(5, 1), {}, NOW)

        assert finished
        assert finished.total == (Amount(5, 1) if deleted else Amount(15, 2))
        assert finished.exact
        assert not finished.recount

    def test_a_file_deleted_during_a_recount_that_may_have_counted_it_is_not_exact(self) -> None:
        counter, name = store(EMPTY, 60)
        counter = counter.begin_recount(NOW) or counter
        counter = counter.delete(name, 60, counter.basis)
        assert counter.total == Amount()

        finished = counter.finish_recount(counter.generation, Amount(60, 1), {}, NOW)

        assert finished
        assert finished.total == Amount(60, 1)
        assert not finished.exact

    @every_row("deleted_at", ["before", "during"])
    def test_a_deletion_that_is_counted_after_a_recount_leaves_the_counter_too_high_at_most(
        self, deleted_at: str
    ) -> None:
        counter, _ = store(EMPTY, 30)
        counter, name = store(counter, 60)
        if deleted_at == "before":
            basis = counter.basis
        counter = counter.begin_recount(NOW) or counter
        if deleted_at == "during":
            basis = counter.basis
        counter = counter.finish_recount(counter.generation, Amount(30, 1), {}, NOW) or counter
        assert counter.total == Amount(30, 1)

        counter = counter.delete(name, 60, basis)

        assert counter.total == Amount(30, 1)
        assert not counter.exact

    def test_a_file_of_a_reservation_that_had_lapsed_is_counted_and_not_left_out(self) -> None:
        counter, name = reserve(EMPTY, 60)
        begun = counter.begin_recount(LATER)
        assert begun
        assert begun.recount
        assert not begun.recount.leaves_out(name)

    def test_a_process_that_dies_during_a_long_recount_leaves_a_reservation_that_counts(
        self,
    ) -> None:
        """Its file, if it published one, was left out of that recount."""
        counter, _ = reserve(EMPTY, 60)
        counter = counter.begin_recount(NOW) or counter
        finished = counter.finish_recount(counter.generation, Amount(), {}, LATER)
        assert finished
        assert finished.total == Amount(60, 1)

    def test_a_second_recount_waits_for_the_first_unless_its_process_died(self) -> None:
        first = EMPTY.begin_recount(NOW)
        assert first
        assert first.begin_recount(NOW + 59) is None
        renewed = first.renew_recount(first.generation, NOW + 59)
        assert renewed
        assert renewed.begin_recount(NOW + 61) is None
        second = first.begin_recount(NOW + 61)
        assert second
        assert second.finish_recount(first.generation, Amount(5, 5), {}, NOW) is None
        assert second.renew_recount(first.generation, NOW) is None

    def test_reservations_of_unfinished_uploads_are_kept_and_restored(self) -> None:
        counter, lapsed = reserve(EMPTY, 10)
        counter, live = reserve(counter, 20, now=LATER)
        begun = counter.begin_recount(LATER)
        assert begun
        unfinished = {lapsed: Amount(10, 1), live: Amount(20, 1), "lost.1": Amount(7, 0)}

        finished = begun.finish_recount(begun.generation, Amount(), unfinished, LATER)

        assert finished
        assert finished.total == Amount(37, 2)
        assert not finished.has_lapsed_reservations(LATER + 3600)

    def test_an_upload_that_was_seen_unfinished_and_ended_meanwhile_is_not_restored(self) -> None:
        counter, name = reserve(EMPTY, 10)
        counter = counter.begin_recount(NOW) or counter
        counter = counter.commit(name, 10)
        finished = counter.finish_recount(counter.generation, Amount(), {name: Amount(10, 1)}, NOW)
        assert finished
        assert finished.total == Amount(10, 1)

    def test_a_long_reservation_whose_upload_is_gone_lapses_soon(self) -> None:
        counter = EMPTY.hold(QUOTA, "g.1", Amount(10, 1), NOW, 1_000_000.0)
        counter = recounted(counter, Amount())
        assert counter.total == Amount(10, 1)
        assert recounted(counter, Amount(), LATER).total == Amount()


class TestRecords:
    def test_a_counter_is_read_as_it_was_written(self) -> None:
        counter, name = reserve(EMPTY, 5)
        counter = counter.begin_recount(NOW) or counter
        counter = counter.commit(name, 5)
        counter, _ = reserve(counter, 7)
        assert from_bytes(to_bytes(counter)) == counter
        assert from_bytes(to_bytes(EMPTY) + b"   ") == EMPTY

    @every_row("record", [None, b"", b"{}", b"[]", b"null", b"\xff", b'{"owner":1}'])
    def test_an_unreadable_record_is_a_counter_that_was_never_counted(
        self, record: bytes | None
    ) -> None:
        assert counter_of("token:ci", record) == UsageCounter("token:ci")
        assert counter_of("token:ci", record).counted is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("reserve", "replace", "publish", "give back", "commit", "release"),
                *("delete", "die", "expire", "recount"),
            ]
        ),
        st.integers(0, 60),
    ),
    min_size=20,
    max_size=60,
)


@given(STEPS, st.data())
def test_the_files_never_exceed_the_quota_and_the_counter_never_misses_a_byte(
    steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    """A model: `files` are those in the store; publishing and counting are two steps.

    A recount reads each file at some moment between its begin and its end. Giving back a file that
    was replaced is a step between.
    """
    counter, now = EMPTY, NOW
    files: dict[str, int] = {}
    running: dict[str, int] = {}
    published: set[str] = set()
    replacing: dict[str, str] = {}
    replaced: dict[str, tuple[str, int, tuple[str, bool]]] = {}
    seen: dict[str, int] | None = None
    found: set[str] = set()
    has_died = False

    numbers = itertools.count()

    def new_name() -> str:
        return f"{counter.generation}.{next(numbers):04}"

    def ordered(names: Iterable[str]) -> list[str]:
        """Return them in the order in which they were made, as generations are random."""
        return sorted(names, key=lambda name: name.partition(".")[2])

    def look() -> None:
        if seen is not None and counter.recount:
            for name, size in files.items():
                if data.draw(st.booleans()):
                    found.add(name)
                    if not counter.recount.leaves_out(name):
                        seen.setdefault(name, size)

    for step, number in steps:
        look()
        now += 1
        if step == "reserve":
            name = new_name()
            try:
                counter = counter.hold(QUOTA, name, Amount(number, 1), now)
            except QuotaExceeded:
                continue
            running[name] = number
        elif step == "replace" and files.keys() - running.keys():
            ready = ordered(files.keys() - running.keys())
            old = ready[number % len(ready)]
            name, replaces = new_name(), ReplacedFile(old, files[old])
            try:
                counter = counter.hold(QUOTA, name, Amount(number, 1), now, replaces=replaces)
            except QuotaExceeded:
                continue
            running[name], replacing[name] = number, old
        elif step == "publish" and running.keys() - published:
            ready = ordered(running.keys() - published)
            name = ready[number % len(ready)]
            if old := replacing.get(name):
                if old not in files:  # 412
                    counter = counter.release(name)
                    running.pop(name)
                    continue
                before, amount = counter.net_of(name), Amount(running[name], 1)
                changed = counter.replacing(name, ReplacedFile(old, files[old]))
                again = changed.net_of(name).exceeds(before)
                try:
                    counter = changed.hold(QUOTA, name, amount, now, again=again)
                except QuotaExceeded:
                    continue
                replaced[name] = (old, files.pop(old), counter.basis)
            files[name] = running[name]
            published.add(name)
        elif step == "give back" and replaced:
            counter = counter.delete(*replaced.pop(ordered(replaced)[number % len(replaced)]))
        elif step == "commit" and (published & running.keys()) - replaced.keys():
            ready = ordered((published & running.keys()) - replaced.keys())
            name = ready[number % len(ready)]
            counter = counter.commit(name, running.pop(name))
        elif step == "release" and running.keys() - published:
            ready = ordered(running.keys() - published)
            name = ready[number % len(ready)]
            counter = counter.release(name)
            running.pop(name)
        elif step == "delete" and files:
            name = ordered(files)[number % len(files)]
            if name in running:
                continue  # its own process is about to count it
            counter = counter.delete(name, files.pop(name), counter.basis)
        elif step == "die" and running:
            name = ordered(running)[number % len(running)]
            running.pop(name)
            replaced.pop(name, None)
            has_died = True
        elif step == "expire":  # the upload of a process that died, and of which no file is left
            dead = ordered(counter.reservations.keys() - running.keys() - files.keys())
            if dead:
                counter = counter.withdraw(dead[number % len(dead)], now)
        elif step == "recount":
            if seen is None:
                now += number * 10  # some reservations may have lapsed
                for name, size in running.items():
                    counter = counter.hold(QUOTA, name, Amount(size, 1), now)
                counter, seen, found = counter.begin_recount(now) or counter, {}, set()
            elif counter.recount:
                now += number * 10
                for name, size in running.items():
                    counter = counter.hold(QUOTA, name, Amount(size, 1), now)
                # Files that existed throughout are seen, others perhaps.
                for name, size in files.items():
                    if not counter.recount.leaves_out(name):
                        seen.setdefault(name, size)
                result = Amount(sum(seen.values()), len(seen))
                found |= files.keys()
                counter = (
                    counter.finish_recount(counter.generation, result, {}, now, found=found)
                    or counter
                )
                seen = None
        in_store = Amount(sum(files.values()), len(files))
        assert in_store.bytes <= counter.total.bytes
        assert in_store.files <= counter.total.files
        assert in_store.bytes <= 100
        assert in_store.files <= 3
        is_known = all(basis == counter.basis for _, _, basis in replaced.values())
        if counter.exact and is_known and not has_died:
            counted = [size for name, size in files.items() if name not in running]
            counted += [size for _, size, _ in replaced.values()]
            assert counter.stored == Amount(sum(counted), len(counted))
