"""Disks that are full, read-only or missing, and processes without file descriptors."""

import contextlib
import errno
import os
import resource
import subprocess
from pathlib import Path

import pytest

from fileservice.storage import Busy, StorageFull, StorageUnavailable
from fileservice.storage.local import LocalStore, attributes
from tests.storage.local.conftest import Mount
from tests.storage.store_contract import NAME, names, publish, read
from tests.support.descriptors import count_descriptors


def remount(path: Path, *options: str) -> None:
    """Change the options of a mounted file system, such as `ro`."""
    command = ["mount", "-o", ",".join(["remount", *options]), str(path)]
    subprocess.run(command, check=True)


def use_all_inodes(store: LocalStore, writers: contextlib.ExitStack) -> None:
    """Begin files until the store raises an error."""
    while True:
        writers.callback(store.writer().close)


def use_all_space(directory: Path) -> None:
    """Write a file named "filler" until the disk is full."""
    with contextlib.suppress(OSError), (directory / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


class TestFullDisk:
    @pytest.fixture
    def directory(self, mount: Mount) -> Path:
        """A directory on a disk of 1 MiB with 20 inodes."""
        return mount("tmpfs", "size=1m,nr_inodes=20") / "store"

    def test_file_that_does_not_fit_raises_storage_full_and_leaves_nothing(
        self, store: LocalStore
    ) -> None:
        before = store.free_space()

        with pytest.raises(StorageFull):
            publish(store, NAME, bytes(2 << 20))

        assert store.free_space() == before
        publish(store, NAME, b"this fits")
        assert names(store) == [NAME]

    def test_disk_that_fills_up_between_two_blocks_raises_storage_full(
        self, store: LocalStore
    ) -> None:
        writer = store.writer()
        try:
            writer.write(bytes(900_000))
            with pytest.raises(StorageFull):
                writer.write(bytes(900_000))
        finally:
            writer.close()

        assert names(store) == []

    def test_disk_without_inodes_raises_storage_full_until_some_are_freed(
        self, store: LocalStore
    ) -> None:
        with contextlib.ExitStack() as writers, pytest.raises(StorageFull):
            use_all_inodes(store, writers)

        publish(store, NAME)

    def test_files_on_a_disk_without_inodes_can_be_listed_and_deleted(
        self, store: LocalStore
    ) -> None:
        publish(store, NAME)
        with contextlib.ExitStack() as writers:
            with pytest.raises(StorageFull):
                use_all_inodes(store, writers)

            assert names(store) == [NAME]
            store.delete(NAME)
            assert names(store) == []

    def test_files_on_a_disk_without_space_can_be_listed_and_deleted(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, NAME)
        use_all_space(directory)
        assert store.free_space() == 0

        assert names(store) == [NAME, "filler"]
        assert names(store) == [NAME, "filler"]
        store.delete(NAME)
        assert names(store) == ["filler"]

    @pytest.mark.parametrize("ended", [b'{"failure": "it has expired"}', b"{}"])
    def test_upload_on_a_disk_without_space_can_end_and_releases_its_space(
        self, store: LocalStore, directory: Path, ended: bytes
    ) -> None:
        upload = store.uploads.create(b'{"failure": null}', 400_000)
        use_all_space(directory)
        assert store.free_space() == 0

        with contextlib.closing(store.locker.lock(upload)) as writer:
            writer.end(ended)
        assert store.uploads.read(upload).record.strip() == ended
        assert (store.free_space() or 0) >= 400_000

    def test_upload_that_does_not_fit_is_not_created_and_leaves_nothing(
        self, store: LocalStore, directory: Path
    ) -> None:
        with pytest.raises(StorageFull):
            store.uploads.create(b"record", 1 << 30)
        assert list((directory / ".fileservice/uploads").iterdir()) == []

    def test_record_that_needs_more_space_than_the_disk_has_stays_as_it_was(
        self, store: LocalStore, directory: Path
    ) -> None:
        upload = store.uploads.create(b"record", None)
        use_all_space(directory)

        with (
            contextlib.closing(store.locker.lock(upload)) as writer,
            pytest.raises(StorageFull),
        ):
            writer.end(bytes(100_000))
        assert store.uploads.read(upload).record == b"record"

    def test_free_space_is_that_of_the_file_system(self, store: LocalStore) -> None:
        before = store.free_space()
        publish(store, NAME, bytes(500_000))
        after = store.free_space()

        assert before is not None
        assert after is not None
        assert before <= 1 << 20
        assert 500_000 <= before - after <= 520_000


def test_files_on_a_read_only_disk_can_be_listed_and_not_deleted(mount: Mount) -> None:
    path = mount("tmpfs", "size=1m")
    store = LocalStore(path / "store", fsync=True)
    publish(store, NAME)
    remount(path, "ro")

    for _ in range(2):
        assert names(store) == [NAME]
    with pytest.raises(StorageUnavailable, match="read-only"):
        store.delete(NAME)
    with pytest.raises(StorageUnavailable, match="read-only"):
        store.writer()
    remount(path, "rw")
    store.delete(NAME)
    assert names(store) == []


def test_check_on_a_disk_that_removes_nothing_leaks_no_descriptor(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = count_descriptors()
    monkeypatch.setattr(os, "unlink", fail)
    for _ in range(5):
        with pytest.raises(StorageUnavailable):
            store.check()
    assert count_descriptors() == before


def test_file_that_cannot_be_described_is_closed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    publish(store, NAME)
    before = count_descriptors()
    monkeypatch.setattr(attributes, "read", fail)
    for call in (lambda: store.open(NAME), lambda: store.stat(NAME)):
        with pytest.raises(StorageUnavailable):
            call()
    assert count_descriptors() == before


def test_process_without_file_descriptors_raises_busy(store: LocalStore) -> None:
    publish(store, NAME)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        for call in (store.writer, lambda: store.open(NAME), lambda: store.stat(NAME)):
            with pytest.raises(Busy):
                call()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert read(store, NAME) == b"data"


def test_missing_root_raises_storage_unavailable_and_is_not_an_empty_store(
    store: LocalStore, directory: Path
) -> None:
    publish(store, NAME)
    directory.rename(directory.with_name("elsewhere"))

    for call in (
        store.writer,
        lambda: store.open(NAME),
        lambda: store.stat(NAME),
        lambda: store.delete(NAME),
        lambda: names(store),
        store.free_space,
        store.sweep,
    ):
        with pytest.raises(StorageUnavailable):
            call()
