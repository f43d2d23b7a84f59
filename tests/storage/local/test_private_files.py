"""Private files in a directory: who may read them, and what happens without the store."""

import os
from pathlib import Path

import pytest

from fileservice.storage import StorageUnavailable
from fileservice.storage.local import LocalStore


def test_only_the_user_of_the_service_may_read_private_files(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, fsync=True)
    umask = os.umask(0)
    try:
        store.private_files.create("some-key", b"content")
        store.private_files.create("folder/one", b"content")
    finally:
        os.umask(umask)
    private = tmp_path / ".fileservice"
    assert (private / "some-key").stat().st_mode & 0o777 == 0o600
    assert (private / "folder" / "one").stat().st_mode & 0o777 == 0o600
    assert (private / "folder").stat().st_mode & 0o777 == 0o700
    assert list((private / "staging").iterdir()) == []


def test_private_files_of_a_store_that_is_not_mounted_are_not_just_missing(
    tmp_path: Path,
) -> None:
    root = tmp_path / "store"
    files = LocalStore(root, fsync=True).private_files
    files.create("folder/one", b"")
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    for call in (
        lambda: files.exists("folder/one"),
        lambda: files.read("some-key"),
        lambda: files.list("folder"),
        lambda: files.create("some-key", b"content"),
    ):
        with pytest.raises(StorageUnavailable):
            call()
    assert list(root.iterdir()) == []
