"""Resumable uploads: their records, and requests to release their locks."""

import fcntl
import os
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fileservice.storage import NoSuchUpload
from fileservice.storage.local import LocalStore, records


def test_upload_that_has_ended_is_not_listed_as_unfinished(
    store: LocalStore, directory: Path
) -> None:
    upload = store.uploads.create(b"record", None)
    with closing(store.locker.lock(upload)) as writer:
        writer.end(b"ended")

    assert list(store.uploads.list_unfinished()) == []
    assert list(store.uploads.list_ids()) == [upload]
    assert list((directory / ".fileservice/uploads").iterdir()) == []


def test_unfinished_upload_is_listed_with_its_size_and_reserved_space(store: LocalStore) -> None:
    upload = store.uploads.create(b"record", 4 << 20)
    with closing(store.locker.lock(upload)) as writer:
        writer.write(bytes(1 << 20))

    [unfinished] = store.uploads.list_unfinished()
    assert unfinished.size == 1 << 20
    assert unfinished.reserved == pytest.approx(3 << 20, abs=64 * 1024)
    assert unfinished.has_reservation


def test_release_request_of_a_dead_process_lapses(store: LocalStore, directory: Path) -> None:
    upload = store.uploads.create(b"record", None)
    store.locker.request_release(upload)
    request = directory / ".fileservice/release-requests" / upload
    long_ago = request.stat().st_mtime - 11
    os.utime(request, (long_ago, long_ago))

    assert store.locker.release_requests() == []
    assert not request.exists()


def test_release_request_that_a_dead_process_left_is_renewed(
    store: LocalStore, directory: Path
) -> None:
    upload = store.uploads.create(b"record", None)
    store.locker.request_release(upload)
    request = directory / ".fileservice/release-requests" / upload
    long_ago = request.stat().st_mtime - 11
    os.utime(request, (long_ago, long_ago))

    store.locker.request_release(upload)

    assert store.locker.release_requests() == [upload]


def test_exclusive_section_excludes_other_processes(
    store: LocalStore, another_store: LocalStore
) -> None:
    left, entered = threading.Event(), threading.Event()

    def enter() -> None:
        with another_store.locker.exclusive():
            assert left.is_set()
            entered.set()

    other = threading.Thread(target=enter)
    with store.locker.exclusive():
        other.start()
        assert not entered.wait(0.1)
        left.set()
    other.join(60)
    assert entered.is_set()


@pytest.mark.parametrize("fsync", [True, False])
def test_upload_that_is_removed_just_before_it_is_locked_does_not_exist(
    another_store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch, *, fsync: bool
) -> None:
    store = LocalStore(directory, fsync=fsync)
    upload = store.uploads.create(b"record", None)
    flock = fcntl.flock

    def remove_before_lock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        another_store.uploads.remove(upload)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_before_lock)
    with pytest.raises(NoSuchUpload):
        store.locker.lock(upload)


def test_upload_that_ends_while_it_is_read_is_read_as_ended(
    store: LocalStore, another_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    with closing(store.locker.lock(upload)) as writer:
        writer.write(b"bytes")
    read = records.read

    def end_after(*of: Any) -> tuple[bytes, float]:
        record = read(*of)
        monkeypatch.setattr(records, "read", read)
        with closing(another_store.locker.lock(upload)) as writer:
            writer.end(b"ended")
        return record

    monkeypatch.setattr(records, "read", end_after)
    stored = store.uploads.read(upload)
    assert (stored.record, stored.size) == (b"ended", 0)
