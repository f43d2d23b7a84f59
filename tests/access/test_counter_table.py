"""CounterTable: counters in memory that processes share."""

from pathlib import Path

import pytest
from limits import RateLimitItemPerHour
from limits.strategies import FixedWindowRateLimiter

from fileservice.access import counter_table
from fileservice.access.counter_table import CounterTable
from fileservice.access.shared_memory import SharedMemory
from tests.access.processes import in_processes, in_threads
from tests.support.clock import Clock

pytestmark = pytest.mark.usefixtures("longer_waits")
LIMIT = RateLimitItemPerHour(100)


@pytest.fixture
def memory() -> SharedMemory:
    return SharedMemory(counter_table.SIZE)


@pytest.fixture
def table(memory: SharedMemory) -> CounterTable:
    return CounterTable(memory, 0)


class StoppedClock(Clock):
    def time(self) -> float:
        return self.now + 1e9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    clock = StoppedClock()
    monkeypatch.setattr(counter_table, "time", clock)
    return clock


def test_counter_counts_until_it_expires_and_then_begins_again(
    table: CounterTable, clock: StoppedClock
) -> None:
    assert [table.incr("a", 60), table.incr("a", 60, 5)] == [1, 6]
    assert table.get_expiry("a") == clock.time() + 60

    clock.now += 59
    assert [table.get("a"), table.incr("a", 60)] == [6, 7]
    assert table.get_expiry("a") == clock.time() + 1, "an increment does not renew the time"

    clock.now += 1
    assert [table.get("a"), table.incr("a", 60)] == [0, 1]


def test_counters_of_different_keys_are_independent(table: CounterTable) -> None:
    table.incr("a", 60, 7)
    assert [table.get("b"), table.incr("b", 60)] == [0, 1]
    table.clear("a")
    assert [table.get("a"), table.get("b")] == [0, 1]


def test_put_sets_the_count_and_the_time_anew(table: CounterTable, clock: StoppedClock) -> None:
    table.incr("a", 60, 7)
    table.put("a", 10, 3)
    assert [table.get("a"), table.get_expiry("a")] == [3, clock.time() + 10]


def test_a_counter_does_not_overflow(table: CounterTable) -> None:
    assert table.incr("a", 60, 2**63) == table.incr("b", 60, 2**63) == 2**63
    assert table.incr("a", 60, 2**63) == 2**64 - 1


def hits(table: CounterTable, tries: int = 100) -> int:
    limiter = FixedWindowRateLimiter(table)
    return sum(limiter.hit(LIMIT, "client") for _ in range(tries))


def test_threads_that_race_never_pass_a_limit_more_often_than_it_allows(
    table: CounterTable,
) -> None:
    assert sum(in_threads(8, lambda: hits(table))) == LIMIT.amount


def test_processes_that_race_never_pass_a_limit_more_often_than_it_allows(
    memory: SharedMemory,
) -> None:
    CounterTable(memory, 0)
    assert sum(in_processes(4, lambda: hits(CounterTable(memory, 0)))) == LIMIT.amount


def test_no_increment_of_processes_that_race_is_lost(
    memory: SharedMemory, table: CounterTable
) -> None:
    def increment() -> int:
        return max(CounterTable(memory, 0).incr("a", 60) for _ in range(1000))

    assert max(in_processes(4, increment)) == table.get("a") == 4000


def test_processes_that_start_at_the_same_time_use_the_same_counters(
    memory: SharedMemory,
) -> None:
    assert sorted(in_processes(8, lambda: CounterTable(memory, 0).incr("a", 60))) == [*range(1, 9)]


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


A_MILLION = pytest.param(1_000_000, marks=[pytest.mark.thorough, pytest.mark.timeout(600)])


@pytest.mark.parametrize("addresses", [50_000, A_MILLION])
def test_memory_does_not_grow_with_the_number_of_addresses(
    table: CounterTable, addresses: int
) -> None:
    table.incr("before", 60)
    before = resident_bytes()

    for address in range(addresses):
        table.incr(f"failures/{address}", 60)

    assert resident_bytes() - before < counter_table.SIZE + (1 << 20)
    assert counter_table.SIZE < 7 << 20


def test_counters_that_have_counted_most_survive_a_flood_of_addresses(
    memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter_table, "_BUCKETS", 4)
    table = CounterTable(memory, 0)
    table.incr("limited", 60, 10)

    for address in range(1000):
        table.incr(f"address {address}", 60)

    assert table.get("limited") == 10


def test_expired_counters_make_room_first(
    memory: SharedMemory, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter_table, "_BUCKETS", 1)
    table = CounterTable(memory, 0)
    for number in range(8):
        table.incr(f"old {number}", 60, 1000)
    clock.now += 60

    for number in range(8):
        table.incr(f"new {number}", 60)

    assert [table.get(f"new {number}") for number in range(8)] == [1] * 8
