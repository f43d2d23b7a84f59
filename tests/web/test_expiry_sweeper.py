"""Removing expired files beside requests."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.storage import NotFound, StorageUnavailable, StoredFile
from fileservice.storage.local import LocalStore
from fileservice.upload import UploadContext, UploadPolicy
from fileservice.web import expiry_sweeper
from fileservice.web.expiry_sweeper import ExpirySweeper
from tests.storage.contract.expiry import OVER
from tests.storage.contract.files import publish
from tests.support.clock import Clock

POLICY = UploadPolicy(types=filetypes.TABLE, max_size=1 << 20, min_free=0, digest=True)


class Queue:
    """An executor that runs what was submitted when a test says so."""

    def __init__(self) -> None:
        self.submitted: list[Callable[[], None]] = []

    def submit(self, function: Callable[[], None]) -> None:
        self.submitted.append(function)

    def run(self) -> None:
        submitted, self.submitted = self.submitted, []
        for function in submitted:
            function()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(expiry_sweeper, "time", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def sweeper(store: LocalStore, queue: Queue, clock: Clock) -> ExpirySweeper:
    return ExpirySweeper(UploadContext(store, POLICY, queue))  # type: ignore[arg-type]


def test_expired_files_are_removed_beside_the_request_every_five_seconds(
    sweeper: ExpirySweeper, store: LocalStore, queue: Queue, clock: Clock
) -> None:
    for number in range(3):
        name = publish(store, f"{number}.txt", expires=OVER).name
        sweeper.sweep_if_due()
        assert store.is_taken(name)
        queue.run()
        assert not store.is_taken(name)
        clock.now += 4.9
        sweeper.sweep_if_due()
        assert not queue.submitted
        clock.now += 0.2


def test_sweep_does_not_begin_while_another_one_runs(
    sweeper: ExpirySweeper, queue: Queue, clock: Clock
) -> None:
    sweeper.sweep_if_due()
    clock.now += 60
    sweeper.sweep_if_due()
    assert len(queue.submitted) == 1
    queue.run()
    sweeper.sweep_if_due()
    assert len(queue.submitted) == 1


def test_file_that_cannot_be_removed_keeps_no_other_from_it(
    store: LocalStore,
    sweeper: ExpirySweeper,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = [publish(store, f"{number}.txt", expires=OVER) for number in range(4)]
    remove = store.expired.remove

    def fail(file: StoredFile) -> StoredFile:
        if file.name in ("0.txt", "1.txt"):
            raise StorageUnavailable("permission denied")
        if file.name == "2.txt":
            raise NotFound(file.name)  # another process was faster
        return remove(file)

    monkeypatch.setattr(store.expired, "remove", fail)
    sweeper.sweep_if_due()
    queue.run()

    assert [store.is_taken(file.name) for file in files] == [True, True, True, False]
    [record] = caplog.records
    assert record.getMessage() == "2 expired files could not be removed: permission denied"


@pytest.mark.parametrize(
    ("error", "level", "message"),
    [
        (
            StorageUnavailable("gone"),
            logging.WARNING,
            "expired files could not be looked for: gone",
        ),
        (ArithmeticError("unexpected"), logging.ERROR, "removing expired files failed"),
    ],
)
def test_error_is_logged_and_the_next_sweep_is_made(
    store: LocalStore,
    sweeper: ExpirySweeper,
    queue: Queue,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: int,
    message: str,
) -> None:
    def fail() -> Iterator[StoredFile]:
        raise error

    publish(store, "a.txt", expires=OVER)
    with monkeypatch.context() as patch:
        patch.setattr(store.expired, "due", fail)
        sweeper.sweep_if_due()
        queue.run()
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, message)

    clock.now += 5
    sweeper.sweep_if_due()
    queue.run()
    assert list(store.expired.due()) == []
