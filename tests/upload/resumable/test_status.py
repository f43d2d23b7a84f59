"""Status: an upload that its process left complete is published when somebody asks for it."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.storage import Locked, NoSuchUpload, StorageFull
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import (
    ContentMismatch,
    LockTiming,
    OffsetMismatch,
    UploadGone,
    UploadState,
    UploadStatus,
)
from tests.upload.resumable.process import NAME, TEXT, Process, stored_kinds, upload_path


def complete_without_publishing(process: Process, store_path: Path) -> str:
    """Create an upload and leave it as a process does that dies after the last byte."""
    upload = process.create()
    process.append(upload, 0, TEXT[:-1])
    with upload_path(store_path, upload).open("ab") as file:
        file.write(TEXT[-1:])
    return upload


def test_complete_upload_is_published(process: Process, store_path: Path) -> None:
    upload = complete_without_publishing(process, store_path)

    assert process.uploads.status(upload).state is UploadState.PUBLISHED

    assert process.content() == TEXT
    assert stored_kinds(store_path) == {".json"}


def test_published_upload_whose_record_was_not_written_does_not_find_its_own_name_taken(
    process: Process, other_process: Process, store_path: Path
) -> None:
    upload = complete_without_publishing(process, store_path)
    (store_path / NAME).hardlink_to(upload_path(store_path, upload))

    assert other_process.uploads.status(upload).state is UploadState.PUBLISHED

    assert other_process.content() == TEXT


def test_published_file_is_a_success_although_its_record_cannot_be_written(
    process: Process, other_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_full(writer: LocalResumableWriter, record: bytes) -> None:
        raise StorageFull("there is no space left")

    upload = process.create()
    with monkeypatch.context() as patch:
        patch.setattr(LocalResumableWriter, "end", raise_full)
        assert process.append(upload, 0, TEXT).state is UploadState.PUBLISHED

    assert process.content() == TEXT
    assert other_process.uploads.status(upload).state is UploadState.PUBLISHED


def test_upload_that_is_being_published_is_locked_and_not_interrupted(
    process: Process, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_process = Process(store_path, timing=LockTiming(idle=60, acquire=60))
    upload = process.create()
    publishing, may_publish = threading.Event(), threading.Event()
    publish = LocalResumableWriter.publish

    def publish_later(self: LocalResumableWriter, *arguments: object, **keywords: object) -> object:
        publishing.set()
        assert may_publish.wait(60)
        return publish(self, *arguments, **keywords)

    monkeypatch.setattr(LocalResumableWriter, "publish", publish_later)
    sender = threading.Thread(target=process.append, args=(upload, 0, TEXT))
    sender.start()
    assert publishing.wait(60)
    started = time.monotonic()
    with pytest.raises(Locked):
        other_process.uploads.status(upload)
    assert time.monotonic() - started < 30  # it did not wait for the lock
    assert not other_process.store.locker.release_requests()
    may_publish.set()
    sender.join()

    assert other_process.uploads.status(upload).state is UploadState.PUBLISHED
    assert process.content() == TEXT


Request = Callable[[Process, str], UploadStatus]


@pytest.mark.parametrize(
    "request_late",
    [
        lambda process, upload: process.append(upload, 5000, TEXT[5000:]),
        lambda process, upload: process.append(upload, len(TEXT)),
        lambda process, upload: process.uploads.status(upload, preempt=True),
    ],
    ids=["append bytes", "append nothing", "preempting status"],
)
def test_request_that_comes_while_an_upload_ends_reports_how_it_ended(
    process: Process,
    other_process: Process,
    monkeypatch: pytest.MonkeyPatch,
    request_late: Request,
) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:5000])

    end_before_lock(other_process, monkeypatch, lambda: process.append(upload, 5000, TEXT[5000:]))
    with contextlib.suppress(OffsetMismatch):  # the offset says that all bytes are stored
        assert request_late(other_process, upload).state is UploadState.PUBLISHED

    assert other_process.uploads.status(upload).state is UploadState.PUBLISHED


def test_status_of_an_upload_that_another_process_publishes_meanwhile(
    process: Process,
    other_process: Process,
    store_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = complete_without_publishing(process, store_path)

    end_before_lock(other_process, monkeypatch, lambda: process.uploads.status(upload))

    assert other_process.uploads.status(upload).state is UploadState.PUBLISHED


def test_upload_that_was_rejected_before_the_lock_is_gone(
    process: Process, other_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reject() -> None:
        with pytest.raises(ContentMismatch):
            process.append(upload, 0, b"\0" * 5000)

    upload = process.create()
    end_before_lock(other_process, monkeypatch, reject)

    with pytest.raises(UploadGone):
        other_process.append(upload, 0, TEXT)


def test_upload_without_a_record_of_its_end_does_not_exist(
    process: Process, other_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.create()
    end_before_lock(other_process, monkeypatch, lambda: process.uploads.cancel(upload))

    with pytest.raises(NoSuchUpload):
        other_process.append(upload, 0, TEXT)


def end_before_lock(
    process: Process, monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]
) -> None:
    """Have `end` called between the moment `process` reads an upload and the one it locks it."""
    lock = process.store.locker.lock
    calls = [end]

    def lock_late(upload: str) -> LocalResumableWriter:
        if calls:
            calls.pop()()
        return lock(upload)

    monkeypatch.setattr(process.store.locker, "lock", lock_late)
