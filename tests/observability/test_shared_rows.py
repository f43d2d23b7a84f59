"""Rows that workers share: nothing is lost with a worker, and nothing of it stays under way."""

import os

from fileservice.observability.shared_rows import COLUMNS, GAUGE, SharedRows


def in_child(work: object) -> None:
    """Call a function in a forked process, as a worker."""
    child = os.fork()
    if not child:
        try:
            work()  # type: ignore[operator]
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def first_columns(rows: SharedRows) -> dict[str, float]:
    return {text: numbers[0] for text, numbers in rows.sums().items()}


def test_what_processes_have_counted_is_added() -> None:
    rows = SharedRows()

    def count(slot: int) -> None:
        row = rows.slot(slot).row("requests")
        for _ in range(1000):
            row[0] += 1

    for slot in (0, 1, 5):
        in_child(lambda slot=slot: count(slot))
    assert first_columns(rows) == {"requests": 3000}


def test_the_next_process_of_a_slot_continues_to_count() -> None:
    rows = SharedRows()

    def count() -> None:
        slot = rows.slot(3)
        slot.row("requests")[0] += 1
        slot.row("requests")[0] += 1

    for _ in range(3):
        in_child(count)
    assert first_columns(rows) == {"requests": 6}


def test_what_was_under_way_in_a_dead_process_is_forgotten_and_nothing_else() -> None:
    rows = SharedRows()
    for slot in (0, 1):
        rows.slot(slot).row(f"{GAUGE}upload")[0] = 2
        rows.slot(slot).row("requests")[0] = 7
    rows.forget_gauges(0)
    assert first_columns(rows) == {f"{GAUGE}upload": 2, "requests": 14}


def test_more_rows_than_there_is_space_for_change_no_others() -> None:
    rows = SharedRows()
    slot = rows.slot(0)
    for number in range(2000):
        slot.row(f"row {number}")[0] = 1
    slot.row("x" * 1000)[0] = 1
    sums = rows.sums()
    assert 0 < len(sums) < 2000
    assert all(numbers == [1.0] + [0.0] * (COLUMNS - 1) for numbers in sums.values())
    rows.slot(1).row("other")[0] = 1
    assert rows.sums()["other"][0] == 1


def test_a_process_without_a_slot_disturbs_none() -> None:
    rows = SharedRows()
    for number in (None, 128, 1000):
        rows.slot(number).row("requests")[0] = 1
        rows.forget_gauges(number)
    assert rows.sums() == {}
