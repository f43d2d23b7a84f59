"""Counters of quotas heal wherever a process is killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.access import QuotaExceeded
from fileservice.access.amounts import Amount
from fileservice.upload import (
    ANY_VERSION,
    remove_expired_files,
)
from tests.access.test_accounts import make_reservations_lapse
from tests.upload.killed_at import killed_at
from tests.upload.quota_process import ALWAYS, Process, expire


def one_request(process: Process) -> None:
    process.put("one.txt", 30_000)


def unknown_length(process: Process) -> None:
    process.put("unknown.txt", 30_000, declared=False)


def resumed(process: Process) -> None:
    upload = process.create("resumed.txt", 30_000)
    process.append(upload, 0, 10_000)
    process.append(upload, 10_000, 20_000)


def cancelled(process: Process) -> None:
    upload = process.create("cancelled.txt", 30_000)
    process.append(upload, 0, 10_000)
    process.uploads.cancel(upload, process.caller)


def concatenated(process: Process) -> None:
    parts = [process.create(None, 15_000) for _ in range(2)]
    for part in parts:
        process.append(part, 0, 15_000)
    process.concatenate("whole.txt", *parts)


def deleted(process: Process) -> None:
    process.delete("first.txt")


def replaced(process: Process) -> None:
    process.replace("first.txt", 30_000)


def replaced_at_the_limit(process: Process) -> None:
    process.put("rest.txt", 80_000)
    process.replace("first.txt", 20_000)


def replaced_by_a_resumed_upload(process: Process) -> None:
    upload = process.create("first.txt", 30_000, ANY_VERSION)
    process.append(upload, 0, 10_000)
    process.append(upload, 10_000, 20_000)


def swept(process: Process) -> None:
    expire(process, "first.txt")
    remove_expired_files(process.context)


def taken_over(process: Process) -> None:
    expire(process, "first.txt")
    process.put("first.txt", 30_000)


ACTS = [
    one_request,
    unknown_length,
    resumed,
    cancelled,
    concatenated,
    deleted,
    replaced,
    replaced_at_the_limit,
    replaced_by_a_resumed_upload,
    swept,
    taken_over,
]


def lines(step: int) -> Iterator[int]:
    return iter(range(1, 1_000_000, step))


@pytest.mark.parametrize(
    ("act", "step"),
    [
        *((act, 401) for act in (one_request, resumed, replaced, swept)),
        *(
            pytest.param(act, 83, marks=[pytest.mark.thorough, pytest.mark.timeout(900)])
            for act in ACTS
        ),
    ],
)
def test_a_process_killed_at_any_line_leaves_a_counter_that_heals(
    tmp_path: Path, act: Callable[[Process], None], step: int
) -> None:
    for line in lines(step):
        root = tmp_path / str(line)
        Process(root).put("first.txt", 20_000)

        was_killed = killed_at(line, lambda root=root: act(Process(root)))

        process = Process(root)
        used, in_store = process.used(), process.in_store(parts=False)
        assert used.bytes >= in_store.bytes, line
        assert used.files >= in_store.files, line
        make_reservations_lapse(process.store)
        in_store = process.in_store(parts=True)
        healed = Process(root, ALWAYS)
        with pytest.raises(QuotaExceeded):
            healed.put("huge.txt", 100_001)
        healed.put("fits.txt", 100_000 - in_store.bytes)
        with pytest.raises(QuotaExceeded):
            healed.put("more.txt", 1)
        assert healed.used() == Amount(100_000, in_store.files + 1), line
        if not was_killed:
            return
    raise AssertionError
