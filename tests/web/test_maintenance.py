"""Sweeping the store beside requests."""

import logging
from collections.abc import Callable

import pytest

from fileservice.storage import StorageUnavailable
from fileservice.web import maintenance
from fileservice.web.maintenance import Sweeper


class Recorder:
    """A store, resumable uploads and an executor at once; they record what is asked of them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[str] = []
        self.submitted: list[Callable[[], None]] = []
        self.error: Exception | None = None

    def monotonic(self) -> float:
        return self.now

    def submit(self, function: Callable[[], None]) -> None:
        self.submitted.append(function)

    def sweep(self) -> None:
        self.calls.append("all")
        if self.error:
            raise self.error

    def sweep_empty(self) -> None:
        self.calls.append("empty uploads")

    def run(self) -> list[str]:
        """Run what was submitted, and return what it called."""
        self.calls = []
        for function in self.submitted:
            function()
        self.submitted = []
        return self.calls


class Links:
    """Links, of which some are removed by each sweep, and the records of what guests stored."""

    def __init__(self, recorder: Recorder, *removed: str) -> None:
        self.usage = self
        self._recorder = recorder
        self._removed = removed

    def sweep(self) -> tuple[str, ...]:
        return self._removed

    def remove(self, owner: str) -> None:
        self._recorder.calls.append(f"remove {owner}")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(maintenance, "time", recorder)
    return recorder


def sweeper(recorder: Recorder, upload_expiry: float = 86400.0, *removed: str) -> Sweeper:
    links = Links(recorder, *removed)
    recorder.usage = links.usage  # type: ignore[attr-defined]
    return Sweeper(recorder, recorder, links, recorder, upload_expiry)  # type: ignore[arg-type]


def test_the_first_request_sweeps_the_store_and_the_uploads(recorder: Recorder) -> None:
    sweeper(recorder).sweep_if_due()
    assert recorder.run() == ["all", "all"]


def test_a_full_sweep_removes_what_was_counted_for_links_that_are_forgotten(
    recorder: Recorder,
) -> None:
    sweeper(recorder, 86400.0, "link:1", "link:2").sweep_if_due()
    assert recorder.run() == ["all", "all", "remove link:1", "remove link:2"]


def test_a_sweep_runs_beside_the_request_that_begins_it(recorder: Recorder) -> None:
    sweeper(recorder).sweep_if_due()
    assert recorder.calls == []
    assert len(recorder.submitted) == 1


def test_empty_uploads_are_swept_every_five_minutes_and_everything_every_hour(
    recorder: Recorder,
) -> None:
    due = sweeper(recorder)
    swept: list[tuple[float, list[str]]] = []
    for minute in range(122):
        recorder.now = 1000.0 + 60 * minute
        due.sweep_if_due()
        if calls := recorder.run():
            swept.append((minute, calls))
    everything = [minute for minute, calls in swept if calls == ["all", "all"]]
    assert everything == [0, 66]
    assert [minute for minute, _ in swept] == list(range(0, 122, 6))
    assert {tuple(calls) for _, calls in swept} == {("all", "all"), ("empty uploads",)}


def test_everything_is_swept_as_often_as_uploads_expire(recorder: Recorder) -> None:
    due = sweeper(recorder, upload_expiry=10.0)
    for _ in range(3):
        due.sweep_if_due()
        assert recorder.run() == ["all", "all"]
        recorder.now += 9
        due.sweep_if_due()
        assert recorder.run() == []
        recorder.now += 2


def test_a_sweep_does_not_begin_while_another_one_runs(recorder: Recorder) -> None:
    due = sweeper(recorder)
    due.sweep_if_due()
    recorder.now += 7200
    due.sweep_if_due()
    assert len(recorder.submitted) == 1
    recorder.run()
    due.sweep_if_due()
    assert len(recorder.submitted) == 1


@pytest.mark.parametrize(
    ("error", "level", "message"),
    [
        (StorageUnavailable("gone"), logging.WARNING, "the store could not be swept: gone"),
        (ArithmeticError("unexpected"), logging.ERROR, "sweeping the store failed"),
    ],
)
def test_an_error_is_logged_and_the_next_sweep_is_made(
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: int,
    message: str,
) -> None:
    due = sweeper(recorder)
    recorder.error = error
    due.sweep_if_due()
    assert recorder.run() == ["all"]
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (level, message)
    recorder.error = None
    recorder.now += 7200
    due.sweep_if_due()
    assert recorder.run() == ["all", "all"]
