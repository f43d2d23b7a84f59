"""Delivery: in order for each file, again and again, and by one process at a time."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fileservice.events import EventKind, ReceiverUnavailable
from fileservice.names import FileName
from fileservice.storage import StorageUnavailable
from tests.events.queues import AT_ONCE, Queue


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "store")


def delete(queue: Queue, name: str) -> None:
    file = queue.store.stat(FileName.parse(name))
    queue.recorder.remove(
        EventKind.DELETED, file, "token:ci", lambda: queue.store.delete(file.name, file.version)
    )


def kinds(queue: Queue, name: str) -> list[str]:
    events = map(json.loads, queue.receiver.sent)
    return [event["type"] for event in events if event["subject"] == name]


def test_event_is_sent_once_if_it_is_accepted(queue: Queue) -> None:
    queue.put("a.txt")
    assert queue.delivery.run_once()
    assert queue.delivery.run_once()
    assert queue.receiver.count("a.txt") == 1
    assert queue.keys() == []


def test_event_waits_for_the_earlier_ones_of_its_file_and_for_no_others(queue: Queue) -> None:
    queue.put("a.txt")
    queue.put("b.txt")
    delete(queue, "a.txt")
    queue.receiver.answer = lambda body: 500 if '"a.txt"' in body else 200
    for _ in range(3):
        queue.delivery.run_once()
    assert kinds(queue, "a.txt") == ["fileservice.file.stored"] * 3
    assert kinds(queue, "b.txt") == ["fileservice.file.stored"]
    queue.receiver.answer = lambda _body: 204
    queue.delivery.run_once()
    assert kinds(queue, "a.txt")[3:] == ["fileservice.file.stored", "fileservice.file.deleted"]


def test_event_that_is_sent_again_is_the_same(queue: Queue) -> None:
    queue.put("a.txt")
    queue.receiver.answer = lambda _body: 404
    for _ in range(3):
        queue.delivery.run_once()
    assert len(queue.receiver.sent) == 3
    assert len(set(queue.receiver.sent)) == 1


def test_attempts_become_rarer(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, first_delay=3600, longest_delay=7200))
    queue.put("a.txt")
    queue.receiver.answer = lambda _body: 500
    for _ in range(3):
        queue.delivery.run_once()
    assert len(queue.receiver.sent) == 1


@pytest.mark.parametrize("status", [429, 503, None])
def test_receiver_that_is_down_gets_one_request_and_not_one_for_each_event(
    queue: Queue, status: int | None
) -> None:
    def answer(_body: str) -> int:
        if status is None:
            raise ReceiverUnavailable("it is down")
        return status

    for number in range(20):
        queue.put(f"{number}.txt")
    queue.receiver.answer = answer
    queue.delivery.run_once()
    first = len(queue.receiver.sent)
    assert first <= AT_ONCE.concurrency
    queue.delivery.run_once()
    assert len(queue.receiver.sent) == first + 1
    queue.receiver.answer = lambda _body: 200
    queue.delivery.run_once()
    assert queue.keys() == []


def test_event_that_alone_makes_the_receiver_fail_does_not_hold_up_the_others(
    tmp_path: Path,
) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, concurrency=1))
    queue.receiver.answer = lambda body: 503 if '"a.txt"' in body else 200
    for number in range(5):
        queue.put("a.txt" if not number else f"{number}.txt")
    for _ in range(4):
        queue.delivery.run_once()
    assert all(queue.receiver.count(f"{number}.txt") == 1 for number in range(1, 5))
    assert queue.receiver.count("a.txt") >= 1


def test_event_that_cannot_be_removed_from_the_queue_is_an_error(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_key: str) -> None:
        raise StorageUnavailable("the storage is read-only at present")

    queue.put("a.txt")
    monkeypatch.setattr(queue.store.private_files, "remove", fail)
    with pytest.raises(StorageUnavailable):
        queue.delivery.run_once()
    assert queue.receiver.count("a.txt") == 1


def test_event_that_the_receiver_does_not_want_is_dropped_and_logged(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.put("a.txt")
    delete(queue, "a.txt")
    queue.receiver.answer = lambda body: 410 if "stored" in body else 200
    queue.delivery.run_once()
    assert kinds(queue, "a.txt") == ["fileservice.file.stored", "fileservice.file.deleted"]
    assert queue.keys() == []
    assert "(fileservice.file.stored, 'a.txt') is dropped" in caplog.text


def test_event_that_is_too_old_is_dropped_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, max_age=0.0))
    queue.put("a.txt")
    queue.delivery.run_once()
    assert queue.receiver.sent == []
    assert queue.keys() == []
    assert "'a.txt') is dropped" in caplog.text


def test_oldest_events_are_dropped_if_there_are_too_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, max_queue=10))
    for number in range(12):
        queue.put(f"{number}.txt")
    queue.delivery.run_once()
    assert [queue.receiver.count(f"{number}.txt") for number in range(12)] == [0] * 3 + [1] * 9
    assert "the oldest 3 were dropped" in caplog.text


def test_another_process_delivers_when_the_first_has_ended(queue: Queue) -> None:
    other = queue.new_delivery()
    queue.put("a.txt")
    assert queue.delivery.run_once()
    queue.put("b.txt")
    assert not other.run_once()
    assert queue.receiver.count("b.txt") == 0
    queue.delivery.close()
    assert other.run_once()
    assert queue.receiver.count("b.txt") == 1
    assert not queue.delivery.run_once()


def test_pending_event_of_a_file_that_is_there_is_sent(queue: Queue) -> None:
    queue.publish("a.txt", queue.begin("a.txt").id)  # and the process dies
    queue.delivery.run_once()
    queue.delivery.run_once()
    assert queue.receiver.count("a.txt") == 1
    assert queue.keys() == []


def test_pending_event_of_a_file_that_is_not_there_is_never_sent(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, abandoned=0.0))
    queue.begin("a.txt")  # and the process dies
    queue.publish("a.txt", "")  # by another one, with the same bytes
    queue.delivery.run_once()
    queue.delivery.run_once()
    assert queue.receiver.sent == []
    assert queue.keys() == []


def test_pending_event_is_left_to_its_process_for_a_while(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, pending=3600.0))
    pending = queue.begin("a.txt")
    queue.publish("a.txt", pending.id)
    queue.delivery.run_once()
    assert queue.receiver.sent == []
    pending.complete()
    queue.delivery.run_once()
    assert queue.receiver.count("a.txt") == 1


def test_pending_event_of_a_file_that_is_removed_is_sent_before_the_removal(queue: Queue) -> None:
    queue.publish("a.txt", queue.begin("a.txt").id)  # and the process dies
    delete(queue, "a.txt")
    queue.delivery.run_once()
    assert kinds(queue, "a.txt") == ["fileservice.file.stored", "fileservice.file.deleted"]


def test_each_removal_of_a_file_that_is_put_there_again_is_an_event_of_its_own(
    queue: Queue,
) -> None:
    path = queue.root / "a.txt"
    for _ in range(2):
        path.write_bytes(b"by another program")
        os.utime(path, (1, 1))
        delete(queue, "a.txt")
    queue.delivery.run_once()
    assert kinds(queue, "a.txt") == ["fileservice.file.deleted"] * 2
    assert len({json.loads(body)["id"] for body in queue.receiver.sent}) == 2


def test_file_is_removed_even_if_that_cannot_be_reported(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.put("a.txt")
    queue.delivery.run_once()
    events = queue.root / ".fileservice" / "events"
    events.rmdir()
    events.write_bytes(b"")  # no file can be made there
    caplog.set_level(logging.ERROR)
    delete(queue, "a.txt")
    assert queue.store.is_taken(FileName.parse("a.txt")) is False
    assert "it is not reported that 'a.txt' is removed" in caplog.text


def test_half_of_an_event_is_never_sent(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, abandoned=0.0))
    queue.put("a.txt")
    (key,) = queue.keys()
    data = queue.store.private_files.read(f"events/{key}")
    assert data
    queue.store.private_files.add(f"events/{key}", data[:-9])
    queue.delivery.run_once()
    assert queue.receiver.sent == []
    assert queue.keys() == []
