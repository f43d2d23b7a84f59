"""SharedMemory: locks that exclude the threads and processes which share it."""

import time

import pytest

from fileservice.access import shared_memory
from fileservice.access.shared_memory import SharedMemory
from tests.access.processes import in_processes

SECONDS = 0.4


def test_process_that_waits_for_the_cpu_under_the_lock_loses_nothing(
    request: pytest.FixtureRequest,
) -> None:
    assert shared_memory._MAX_WAIT > 2 * SECONDS
    request.getfixturevalue("longer_waits")  # others may have the processor for longer
    memory = SharedMemory(2)

    def increment() -> int:
        with memory.locked(0):
            before = memory.bytes[1]
            time.sleep(SECONDS)  # as if others had the CPU
            memory.bytes[1] = before + 1
        return before

    assert sorted(in_processes(2, increment)) == [0, 1]
    assert memory.bytes[1] == 2
