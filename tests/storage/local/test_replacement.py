"""Replacing in a directory: what a process that is killed leaves, and readers of the old file."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from stat import S_ISDIR

import pytest

from fileservice.storage import NotFound, StorageUnavailable, VersionChanged
from fileservice.storage.local import LocalStore
from tests.storage.store_contract import NAME, content_of, names, publish, read, replace
from tests.upload.killed_at import killed_at

OLD, NEW = b"the old bytes\n" * 1000, b"the new bytes\n" * 2000


def replace_in_one_request(root: Path, version: str) -> None:
    replace(LocalStore(root, fsync=False), NAME, NEW, version)


def replace_durably(root: Path, version: str) -> None:
    replace(LocalStore(root, fsync=True), NAME, NEW, version)


def replace_by_a_resumable_upload(root: Path, version: str) -> None:
    store = LocalStore(root, fsync=False)
    writer = store.locker.lock(store.uploads.create(b"record", len(NEW)))
    writer.write(NEW)
    writer.sync()
    writer.publish(NAME, content_of(NEW), replaces=version)
    writer.end(b"ended")
    writer.close()


@pytest.mark.parametrize(
    "step", [31, pytest.param(1, marks=[pytest.mark.thorough, pytest.mark.timeout(900)])]
)
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(replace_in_one_request, marks=pytest.mark.thorough),
        replace_durably,
        pytest.param(replace_by_a_resumable_upload, marks=pytest.mark.thorough),
    ],
)
def test_a_process_killed_at_any_line_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, act: Callable[[Path, str], None], step: int
) -> None:
    found = set()
    for line in count(1, step):
        root = tmp_path / str(line)
        version = publish(LocalStore(root, fsync=False), NAME, OLD).version

        was_killed = killed_at(line, lambda root=root, version=version: act(root, version))

        store = LocalStore(root, fsync=False)  # which sweeps
        assert list((root / ".fileservice/staging").iterdir()) == []
        assert names(store) == [NAME]
        data = read(store, NAME)
        assert data in (OLD, NEW), line
        assert store.stat(NAME).content.sha256 == content_of(data).sha256
        found.add(data)
        replace(store, NAME, b"newest", store.stat(NAME).version)
        assert read(store, NAME) == b"newest"
        if not was_killed:
            break
    assert found == {OLD, NEW}


def test_reader_of_any_range_goes_on_in_the_old_file(
    store: LocalStore, another_store: LocalStore
) -> None:
    old = publish(store, NAME, OLD)
    opened = store.open(NAME)
    with opened.body as body:
        replace(another_store, NAME, NEW, old.version)
        for first, end in ((100, 200), (0, 50), (13_000, 14_000)):
            opened.seek_range(first, end)
            assert body.read(end - first) == OLD[first:end]


def test_file_that_another_program_stored_is_replaced_by_its_version(
    store: LocalStore, directory: Path
) -> None:
    (directory / NAME).write_bytes(OLD)
    version = store.stat(NAME).version
    (directory / NAME).write_bytes(OLD + b"more")
    with pytest.raises(VersionChanged):
        replace(store, NAME, NEW, version)
    replace(store, NAME, NEW, store.stat(NAME).version)
    assert read(store, NAME) == NEW


def test_what_is_no_regular_file_is_not_replaced(store: LocalStore, directory: Path) -> None:
    (directory / "target.txt").write_bytes(OLD)
    (directory / NAME).symlink_to("target.txt")
    (directory / "b.txt").mkdir()
    for name in (NAME, "b.txt"):
        with pytest.raises(NotFound):
            replace(store, name, NEW, "")
    assert (directory / "target.txt").read_bytes() == OLD
    assert (directory / NAME).is_symlink()


@pytest.mark.parametrize("call", ["link", "rename"])
def test_error_of_the_disk_leaves_the_old_file_and_nothing_staged(
    store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    version = publish(store, NAME, OLD).version

    def fail(*_paths: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageUnavailable):
            replace(store, NAME, NEW, version)
    assert read(store, NAME) == OLD
    assert list((directory / ".fileservice/staging").iterdir()) == []


@pytest.mark.parametrize("can_be_undone", [True, False])
def test_directory_that_cannot_be_synced_leaves_one_of_the_files_whole(
    directory: Path, monkeypatch: pytest.MonkeyPatch, can_be_undone: bool
) -> None:
    store = LocalStore(directory, fsync=True)
    version = publish(store, NAME, OLD).version
    real_sync, real_rename, renamed = os.fsync, os.rename, []

    def sync(descriptor: int) -> None:
        if S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real_sync(descriptor)

    def rename(source: bytes, target: bytes) -> None:
        renamed.append(target)
        if len(renamed) > 1 and not can_be_undone:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        real_rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        patch.setattr(os, "rename", rename)
        with pytest.raises(StorageUnavailable):
            replace(store, NAME, NEW, version)

    left = OLD if can_be_undone else NEW
    assert read(store, NAME) == left
    assert store.stat(NAME).content.sha256 == content_of(left).sha256
    assert list((directory / ".fileservice/staging").iterdir()) == []
    replace(store, NAME, b"newest", store.stat(NAME).version)


@contextmanager
def sync_of_directory_fails(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]
) -> Iterator[None]:
    """Have syncs of directories call `meanwhile` and fail, and the block with them."""
    real = os.fsync

    def sync(descriptor: int) -> None:
        if S_ISDIR(os.fstat(descriptor).st_mode):
            meanwhile()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        with pytest.raises(StorageUnavailable):
            yield


def test_name_that_another_has_replaced_meanwhile_is_not_put_back(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process waits for the sync of the directory, which fails, while another one replaces."""
    store, another = LocalStore(directory, fsync=True), LocalStore(directory, fsync=False)
    version = publish(store, NAME, OLD).version

    with sync_of_directory_fails(
        monkeypatch, lambda: replace(another, NAME, b"newest", another.stat(NAME).version)
    ):
        replace(store, NAME, NEW, version)

    assert read(store, NAME) == b"newest"


def test_file_that_may_be_put_back_is_not_swept(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, another = LocalStore(directory, fsync=True), LocalStore(directory, fsync=True)
    version = publish(store, NAME, OLD).version

    with sync_of_directory_fails(monkeypatch, another.sweep):
        replace(store, NAME, NEW, version)

    assert read(store, NAME) == OLD
