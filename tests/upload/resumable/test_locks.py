"""Locks: one request adds to an upload, and another gets the lock if that one is silent."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.storage import Locked
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import LockTiming, OffsetMismatch, UploadInterrupted
from tests.upload.resumable.process import TEXT, ConnectionCut, Process, upload_path, wait_until

NEVER = LockTiming(idle=60.0, acquire=60.0, poll=0.01, watch=0.02)


class Body:
    """Blocks that arrive when the test says so, until the request is interrupted."""

    def __init__(self) -> None:
        self._changed = threading.Semaphore(0)
        self._blocks: list[bytes] = []
        self.was_interrupted = False
        self.late_blocks: Callable[[], Iterator[bytes]] = lambda: iter(())
        """Yields what the server had received before the interrupt."""

    def send(self, block: bytes) -> None:
        self._blocks.append(block)
        self._changed.release()

    def interrupt(self) -> None:
        self.was_interrupted = True
        self._changed.release()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._changed.acquire()
            if self.was_interrupted:
                yield from self.late_blocks()
                raise ConnectionCut
            yield self._blocks.pop(0)


@pytest.fixture
def sending(process: Process) -> Iterator[tuple[str, Body]]:
    """An upload of which a request has 100 bytes, and the body of that request."""
    upload, body = process.create(), Body()
    errors: list[Exception] = []

    def send() -> None:
        try:
            process.append_body(upload, 0, body, interrupt=body.interrupt)
        except (ConnectionCut, UploadInterrupted) as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    body.send(TEXT[:100])
    wait_until(lambda: process.store.uploads.bytes_written(upload) == 100)
    yield upload, body
    by_request = body.was_interrupted
    body.interrupt()
    thread.join(60)
    assert [type(error) for error in errors] == [UploadInterrupted if by_request else ConnectionCut]


def test_request_that_still_receives_bytes_keeps_the_lock(
    store_path: Path, sending: tuple[str, Body]
) -> None:
    upload, body = sending
    patient = Process(store_path, timing=NEVER)
    refused = threading.Event()

    def send() -> None:
        for offset in range(100, len(TEXT) - 1):
            body.send(TEXT[offset : offset + 1])
            if refused.wait(0.05):
                return

    sender = threading.Thread(target=send)
    sender.start()
    started = time.monotonic()
    try:
        with pytest.raises(Locked):
            patient.append(upload, 100, TEXT[100:])
    finally:
        refused.set()
        sender.join()

    assert time.monotonic() - started < 30  # it did not wait for silence
    assert not body.was_interrupted


def test_request_that_is_silent_is_interrupted(
    other_process: Process, sending: tuple[str, Body]
) -> None:
    upload, body = sending

    other_process.append(upload, 100, TEXT[100:])

    assert body.was_interrupted
    assert other_process.content() == TEXT
    assert other_process.store.locker.release_requests() == []


def test_silent_request_that_still_writes_what_it_has_received_is_interrupted(
    other_process: Process, sending: tuple[str, Body], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, body = sending
    lock, attempts = other_process.store.locker.lock, []

    def count(upload: str) -> LocalResumableWriter:
        attempts.append(upload)
        return lock(upload)

    def write_and_wait() -> Iterator[bytes]:
        yield TEXT[100:200]
        attempts.clear()
        wait_until(lambda: len(attempts) > 2)  # so the other request sees that the upload grew

    monkeypatch.setattr(other_process.store.locker, "lock", count)
    body.late_blocks = write_and_wait
    with pytest.raises(OffsetMismatch) as raised:
        other_process.append(upload, 100, TEXT[100:])

    assert raised.value.offset == 200


def test_preempting_request_does_not_wait_for_silence(
    store_path: Path, sending: tuple[str, Body]
) -> None:
    upload, body = sending
    patient = Process(store_path, timing=NEVER)

    assert patient.uploads.status(upload, preempt=True).offset == 100

    assert body.was_interrupted


def test_request_that_is_not_interrupted_in_time_makes_the_other_fail(
    process: Process, store_path: Path
) -> None:
    upload = process.create()
    hasty = Process(store_path, timing=LockTiming(idle=0.01, acquire=0.05, poll=0.01))

    def body() -> Iterator[bytes]:
        yield TEXT[:100]
        with pytest.raises(Locked):
            hasty.append(upload, 100, TEXT[100:])

    process.append_body(upload, 0, body())

    assert process.uploads.status(upload).offset == 100
    assert process.store.locker.release_requests() == []


def test_request_that_has_received_all_bytes_is_not_interrupted(
    process: Process, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client would not get the response."""
    upload = process.create()
    hasty = Process(store_path, timing=LockTiming(acquire=0.5, poll=0.01))
    publish = LocalResumableWriter.publish
    interrupts: list[str] = []

    def publish_later(self: LocalResumableWriter, *arguments: object, **keywords: object) -> object:
        with pytest.raises(Locked):
            hasty.uploads.cancel(upload, preempt=True)
        return publish(self, *arguments, **keywords)

    monkeypatch.setattr(LocalResumableWriter, "publish", publish_later)
    process.append_body(upload, 0, [TEXT], interrupt=lambda: interrupts.append(upload))

    assert interrupts == []
    assert process.content() == TEXT


def test_request_for_a_lock_lapses_if_its_process_died(process: Process, store_path: Path) -> None:
    upload = process.create()
    process.store.locker.request_release(upload)
    assert process.store.locker.release_requests() == [upload]
    (path,) = set((store_path / ".fileservice").glob(f"*/{upload}")) - {
        upload_path(store_path, upload)
    }
    then = time.time() - 60
    os.utime(path, (then, then))

    assert process.store.locker.release_requests() == []
    assert not path.exists()


def test_status_can_be_asked_for_while_a_request_sends(
    other_process: Process, sending: tuple[str, Body]
) -> None:
    upload, body = sending

    assert other_process.uploads.status(upload).offset == 100

    assert not body.was_interrupted


def test_cancel_interrupts_a_silent_request(
    other_process: Process, sending: tuple[str, Body]
) -> None:
    upload, body = sending

    other_process.uploads.cancel(upload, preempt=True)

    assert body.was_interrupted
