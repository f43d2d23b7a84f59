"""Private files in a directory: who may read them, and what happens without the store."""

import os
from functools import partial
from pathlib import Path

import pytest

from fileservice.storage import StorageUnavailable
from fileservice.storage.local import LocalStore
from tests.storage.local.conftest import StagedFiles
from tests.storage.local.processes import StartChild, run_together
from tests.support.wire import eventually


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
        lambda: files.update("some-key", lambda _content: b"content"),
    ):
        with pytest.raises(StorageUnavailable):
            call()
    assert list(root.iterdir()) == []


def test_no_update_of_many_processes_is_lost(
    store: LocalStore, staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    """Some of them remove the file meanwhile, and it begins with nothing again."""
    code = """
files = open_store(sys.argv[1], fsync=False).private_files
for _ in range(50):
    files.update("folder/kept", lambda data: b"%d" % (int(data or b"0") + 1))
    files.update("folder/removed", lambda data: (data or b"") + b"x")
    files.remove("folder/removed")
"""
    assert set(run_together(start_child, code, directory)) == {""}
    assert store.private_files.read("folder/kept") == b"200"
    assert staged_files() == []


def test_process_that_is_killed_during_updates_leaves_an_old_or_a_new_file(
    store: LocalStore, staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    """Others can update the file at once, and the next sweep removes what was staged."""
    code = """
files = open_store(sys.argv[1], fsync=False).private_files
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    files.update("some-key", lambda data: b"%d\\n" % number * 10_000)
"""
    files = store.private_files

    def is_updated_by(number: int) -> bool:
        files.update("some-key", lambda data: data)  # this process competes with the other
        return (files.read("some-key") or b"").startswith(b"%d" % number)

    for number in range(5):
        child = start_child(code, directory, number)
        child.wait_until_ready()
        eventually(partial(is_updated_by, number))
        child.kill()
        lines = (files.read("some-key") or b"").splitlines()
        assert len(lines) == 10_000
        assert len(set(lines)) == 1
    store.sweep()
    assert staged_files() == []


def test_updated_file_is_synced_before_it_gets_its_name_and_its_directory_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalStore(tmp_path, fsync=True).private_files
    files.create("folder/one", b"old")
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def record_fsync(descriptor: int) -> None:
        calls.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def record_rename(source: bytes, target: bytes) -> None:
        calls.append("rename " + source.decode().rpartition("/")[2])
        rename(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "rename", record_rename)
    files.update("folder/one", lambda _content: b"new")

    staged = calls[0].removeprefix("sync ")
    assert calls[:3] == [f"sync {staged}", f"rename {staged}", "sync folder"]
