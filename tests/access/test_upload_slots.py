"""UploadSlots: how many uploads are under way in all processes."""

import os
import signal

import pytest

from fileservice.access import upload_slots
from fileservice.access.shared_memory import SharedMemory
from fileservice.access.upload_slots import UploadSlots
from tests.access.processes import barrier, in_processes, in_threads, waiting_process

LIMIT = 50


@pytest.fixture
def memory() -> SharedMemory:
    return SharedMemory(upload_slots.SIZE)


def taken(slots: UploadSlots, tries: int = LIMIT) -> int:
    """Try to take a slot so often; return how often that was possible."""
    return sum(slots.take() for _ in range(tries))


def test_as_many_uploads_as_allowed_are_under_way_and_each_end_allows_another(
    memory: SharedMemory,
) -> None:
    slots = UploadSlots(memory, 2)
    assert [slots.take(), slots.take(), slots.take()] == [True, True, False]
    slots.give_back()
    assert [slots.take(), slots.take()] == [True, False]


def test_threads_that_race_never_get_more_slots_than_there_are(memory: SharedMemory) -> None:
    slots = UploadSlots(memory, LIMIT)
    assert sum(in_threads(8, lambda: taken(slots))) == LIMIT


@pytest.mark.usefixtures("longer_waits")
def test_processes_that_race_never_get_more_slots_than_there_are(memory: SharedMemory) -> None:
    # A process that has ended holds no slot, so each waits until all have tried.
    all_tried = barrier(4)

    def take() -> int:
        succeeded = taken(UploadSlots(memory, LIMIT))
        all_tried.wait()
        return succeeded

    assert sum(in_processes(4, take)) == LIMIT


@pytest.mark.usefixtures("longer_waits")
def test_taking_and_giving_back_in_processes_leaves_no_slot_taken(memory: SharedMemory) -> None:
    own = UploadSlots(memory, LIMIT)

    def take_and_give_back() -> int:
        slots, succeeded = UploadSlots(memory, LIMIT), 0
        for _ in range(2000):
            if slots.take():
                succeeded += 1
                assert slots.under_way() <= LIMIT
                slots.give_back()
        return succeeded

    assert all(in_processes(4, take_and_give_back))
    assert own.under_way() == 0
    assert taken(own, LIMIT + 1) == LIMIT


def test_slots_of_a_process_that_was_killed_are_free(memory: SharedMemory) -> None:
    slots = UploadSlots(memory, LIMIT)
    with waiting_process(lambda: taken(UploadSlots(memory, LIMIT), LIMIT - 1)):
        assert taken(slots) == 1

    assert taken(slots) == LIMIT - 1


def test_slots_of_a_process_that_is_stopped_stay_taken(memory: SharedMemory) -> None:
    slots = UploadSlots(memory, LIMIT)
    with waiting_process(lambda: taken(UploadSlots(memory, LIMIT), LIMIT - 1)) as other:
        assert other.pid
        os.kill(other.pid, signal.SIGSTOP)
        assert taken(slots) == 1


@pytest.mark.timeout(30)
def test_process_that_is_stopped_under_the_lock_does_not_stop_the_others(
    memory: SharedMemory,
) -> None:
    slots = UploadSlots(memory, LIMIT)
    lock = memory.locked(0)
    with waiting_process(lock.__enter__) as other:
        assert other.pid
        os.kill(other.pid, signal.SIGSTOP)

        assert slots.take()
        slots.give_back()

        assert slots.under_way() == 0


def test_many_processes_one_after_the_other_share_the_memory(memory: SharedMemory) -> None:
    for _ in range(5):
        assert in_processes(2, lambda: taken(UploadSlots(memory, LIMIT), 1)) == [1, 1]
    assert taken(UploadSlots(memory, LIMIT)) == LIMIT
