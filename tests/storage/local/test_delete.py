"""Deletion of a name that belongs to another file by the time it is removed, and its durability."""

import fcntl
import os
from pathlib import Path

import pytest

from fileservice.storage import NotFound
from fileservice.storage.local import LocalStore
from tests.storage.store_contract import NAME, publish, read


def test_file_that_replaces_another_just_before_its_deletion_is_not_deleted(
    store: LocalStore, another_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish(store, NAME, b"old").version
    flock = fcntl.flock

    def replace_file_before_lock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        another_store.delete(NAME)
        publish(another_store, NAME, b"new")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_file_before_lock)
    with pytest.raises(NotFound):
        store.delete(NAME, version)

    assert read(store, NAME) == b"new"


def test_directory_is_synced_once_the_name_is_removed(
    store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, NAME)
    names_when_synced = []

    def record(descriptor: int) -> None:
        assert os.path.samestat(os.fstat(descriptor), directory.stat())
        names_when_synced.append(os.listdir(descriptor))

    monkeypatch.setattr(os, "fsync", record)
    store.delete(NAME)

    assert names_when_synced == [[".fileservice"]]
