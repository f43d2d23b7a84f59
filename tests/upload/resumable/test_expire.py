"""Expire: what nobody has changed for long enough is removed, by whichever process notices."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.storage import NoSuchUpload, ResumableWriter
from fileservice.upload import UploadGone, UploadState
from fileservice.upload.resumable.repository import EMPTY_UPLOAD_EXPIRY
from tests.upload.resumable.process import (
    DAY,
    TEXT,
    Process,
    make_older,
    stored_kinds,
    upload_path,
)


def test_published_upload_is_known_until_it_expires(process: Process, store_path: Path) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT)
    make_older(store_path, upload, DAY - 60)
    assert process.uploads.status(upload).state is UploadState.PUBLISHED

    make_older(store_path, upload)

    with pytest.raises(UploadGone):
        process.uploads.status(upload)
    with pytest.raises(NoSuchUpload):
        process.uploads.status(upload)
    assert process.content() == TEXT


def test_expired_upload_is_swept_and_its_record_for_as_long_again_says_so(
    process: Process, other_process: Process, store_path: Path
) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:100])
    make_older(store_path, upload)

    for each in (process, other_process):
        each.uploads.sweep()

    assert stored_kinds(store_path) == {".json"}
    with pytest.raises(UploadGone, match="expired"):
        other_process.append(upload, 100, TEXT[100:])
    make_older(store_path, upload)
    other_process.uploads.sweep()
    assert stored_kinds(store_path) == set()


def test_upload_is_not_swept_before_it_expires(process: Process, store_path: Path) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:100])
    make_older(store_path, upload, DAY - 60)

    process.uploads.sweep()

    assert process.uploads.status(upload).offset == 100


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"\xff", b'{"name": "a/b"}'])
def test_unreadable_record_does_not_stop_a_sweep_and_is_swept_by_age(
    process: Process, store_path: Path, record: bytes
) -> None:
    broken, other = process.create(), process.create()
    path = upload_path(store_path, broken)
    path.with_suffix(".json").write_bytes(record)
    with pytest.raises(NoSuchUpload):
        process.uploads.status(broken)
    process.uploads.sweep()
    assert path.exists()
    assert process.uploads.status(other)

    make_older(store_path, broken)
    process.uploads.sweep()

    assert not path.exists()
    assert not path.with_suffix(".json").exists()


def test_record_without_bytes_is_swept(process: Process, store_path: Path) -> None:
    upload = process.create()
    upload_path(store_path, upload).unlink()
    make_older(store_path, upload)

    process.uploads.sweep()

    assert not upload_path(store_path, upload).with_suffix(".json").exists()


def test_bytes_without_a_record_are_swept_by_age(process: Process, store_path: Path) -> None:
    """A process that was killed while it created or removed an upload leaves such bytes."""
    upload = "0" * 32
    upload_path(store_path, upload).write_bytes(TEXT)
    process.uploads.sweep()
    assert upload_path(store_path, upload).exists()

    make_older(store_path, upload)
    process.uploads.sweep()

    assert not upload_path(store_path, upload).exists()


def test_upload_without_a_byte_expires_sooner_than_one_with_bytes(
    process: Process, other_process: Process, store_path: Path
) -> None:
    empty, begun = process.create(), process.create()
    process.append(begun, 0, b"text")
    seconds_left = process.uploads.status(empty).expires - time.time()
    assert EMPTY_UPLOAD_EXPIRY - 60 < seconds_left <= EMPTY_UPLOAD_EXPIRY
    assert process.uploads.status(begun).expires - time.time() > DAY - 400
    for upload in (empty, begun):
        make_older(store_path, upload, EMPTY_UPLOAD_EXPIRY + 1)

    other_process.uploads.sweep_empty()

    with pytest.raises(NoSuchUpload):
        process.uploads.status(empty)
    assert process.uploads.status(begun).offset == 4
    assert not upload_path(store_path, empty).exists()


def test_upload_whose_first_byte_is_being_received_does_not_expire(
    process: Process, other_process: Process, store_path: Path
) -> None:
    def body() -> Iterator[bytes]:
        make_older(store_path, upload, EMPTY_UPLOAD_EXPIRY + 1)
        other_process.uploads.sweep_empty()
        other_process.uploads.sweep()
        yield b"text"

    upload = process.create()
    process.append_body(upload, 0, body())

    assert other_process.uploads.status(upload).offset == 4


def test_upload_that_is_continued_just_before_it_expires_is_kept(
    process: Process,
    other_process: Process,
    store_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:100])
    make_older(store_path, upload, DAY - 60)
    lock = process.store.locker.lock

    def lock_late(wanted: str) -> ResumableWriter:
        monkeypatch.undo()
        other_process.append(upload, 100, TEXT[100:200])
        return lock(wanted)

    monkeypatch.setattr(process.store.locker, "lock", lock_late)
    monkeypatch.setattr("time.time", time_in(120))
    process.uploads.sweep()

    assert process.uploads.status(upload).offset == 200


def time_in(seconds: float) -> Callable[[], float]:
    """Return a clock that is ahead by so many seconds."""
    now = time.time
    return lambda: now() + seconds
