"""Which bytes of an unfinished upload count after a power failure or a failed fsync."""

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import Content, NoSuchUpload, StorageFull, StorageUnavailable
from fileservice.storage.local import LocalStore, checkpoint

NAME = FileName.parse("note.txt")
PLAIN = Content("text/plain")


@pytest.fixture
def lose_page_cache(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give the page cache another name from now on, as a power failure does."""
    return lambda: monkeypatch.setattr(checkpoint, "page_cache_of", lambda _: "another-boot")


def path_of(directory: Path, upload: str) -> Path:
    return directory / ".fileservice/uploads" / upload


def bytes_of(directory: Path, upload: str) -> bytes:
    return path_of(directory, upload).read_bytes()


def begin(store: LocalStore, data: bytes, *, synced: bytes = b"") -> str:
    """Create an upload with `synced` bytes and then `data`, whose process dies; return its id."""
    upload = store.uploads.create(b"record", None)
    with closing(store.locker.lock(upload)) as writer:
        if synced:
            writer.write(synced)
            writer.sync()
        writer.write(data)
    return upload


def publish_without_ending(store: LocalStore, content: Content = PLAIN) -> str:
    """Publish an upload whose process dies before it can end its record; return its id."""
    upload = begin(store, b"published")
    with closing(store.locker.lock(upload)) as writer:
        writer.publish(NAME, content)
    return upload


class TestPowerFailure:
    def test_unsynced_bytes_do_not_count_and_are_dropped(
        self, store: LocalStore, directory: Path, lose_page_cache: Callable[[], None]
    ) -> None:
        # The size may reach the disk before the bytes.
        upload = begin(store, b"\0" * 50, synced=b"synced")
        lose_page_cache()
        after = LocalStore(directory, fsync=True)
        assert after.uploads.read(upload).size == 6
        with closing(after.locker.lock(upload)) as writer:
            assert writer.size == 6
            assert bytes_of(directory, upload) == b"synced"
            writer.write(b" again")
            writer.sync()
        assert after.uploads.read(upload).size == 12
        assert bytes_of(directory, upload) == b"synced again"

    def test_bytes_that_were_reported_still_count(
        self, store: LocalStore, another_store: LocalStore, lose_page_cache: Callable[[], None]
    ) -> None:
        upload = begin(store, b"unsynced")
        assert another_store.uploads.read(upload).size == 8
        lose_page_cache()
        assert another_store.uploads.read(upload).size == 8

    def test_bytes_written_over_synced_ones_do_not_count(
        self, store: LocalStore, directory: Path, lose_page_cache: Callable[[], None]
    ) -> None:
        upload = store.uploads.create(b"record", None)
        with closing(store.locker.lock(upload)) as writer:
            writer.write(b"kept, damaged")
            writer.sync()
            writer.truncate(4)
            writer.write(b"\0" * 9)
        lose_page_cache()
        assert LocalStore(directory, fsync=True).uploads.read(upload).size == 4

    def test_bytes_written_after_a_process_died_while_truncating_do_not_count(
        self,
        store: LocalStore,
        another_store: LocalStore,
        monkeypatch: pytest.MonkeyPatch,
        lose_page_cache: Callable[[], None],
    ) -> None:
        ftruncate = os.ftruncate

        def truncate_and_die(descriptor: int, size: int) -> None:
            ftruncate(descriptor, size)
            raise KeyboardInterrupt

        upload = begin(store, b"", synced=b"kept, damaged")
        with closing(store.locker.lock(upload)) as writer, monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", truncate_and_die)
            with pytest.raises(KeyboardInterrupt):
                writer.truncate(4)
        with closing(another_store.locker.lock(upload)) as writer:
            assert writer.size == 4
            writer.write(b"\0" * 9)
        lose_page_cache()
        assert another_store.uploads.read(upload).size == 4

    def test_published_file_is_never_truncated(
        self, store: LocalStore, directory: Path, lose_page_cache: Callable[[], None]
    ) -> None:
        upload = publish_without_ending(store)
        lose_page_cache()
        path_of(directory, f"{upload}.checkpoint").write_bytes(b"\0" * 1024)
        after = LocalStore(directory, fsync=True)
        assert after.uploads.read(upload).size == 9
        after.locker.lock(upload).close()
        assert (directory / NAME).read_bytes() == b"published"

    @pytest.mark.parametrize("fsync", [True, False])
    def test_published_file_can_be_published_again(
        self, directory: Path, lose_page_cache: Callable[[], None], fsync: bool
    ) -> None:
        store = LocalStore(directory, fsync=fsync)
        content = Content("text/plain", sha256=b"a digest of thirty-two bytes ...")
        upload = publish_without_ending(store, content)
        published = store.stat(NAME)
        lose_page_cache()
        after = LocalStore(directory, fsync=True)
        with closing(after.locker.lock(upload)) as writer:
            assert writer.publish(NAME, content) == published
        assert after.stat(NAME) == published
        assert (directory / NAME).read_bytes() == b"published"

    def test_all_bytes_count_without_fsync(
        self, directory: Path, lose_page_cache: Callable[[], None]
    ) -> None:
        store = LocalStore(directory, fsync=False)
        upload = begin(store, b"there")
        lose_page_cache()
        assert store.uploads.read(upload).size == 5

    @pytest.mark.parametrize("syncs", [2, 3])  # so that each of the slots is the newest once
    @pytest.mark.parametrize("damage", [b"", b"\0" * 512, b"\xff" * 512, b"7 7"])
    def test_torn_slot_leaves_the_slot_before(
        self, store: LocalStore, directory: Path, damage: bytes, syncs: int
    ) -> None:
        upload = store.uploads.create(b"record", None)
        with closing(store.locker.lock(upload)) as writer:
            for _ in range(syncs):
                before = writer.size
                writer.write(b"more")
                writer.sync()
        path = path_of(directory, f"{upload}.checkpoint")
        slots = [path.read_bytes()[:512], path.read_bytes()[512:]]
        newest = max(range(2), key=lambda slot: int(slots[slot].split(b" ")[0]))
        slots[newest] = damage.ljust(512, b"\0")
        path.write_bytes(b"".join(slots))
        with checkpoint.locked(os.fsencode(path)) as saved:
            assert saved.offset == before


class TestFailedSync:
    @pytest.mark.parametrize(
        ("number", "error"),
        [(errno.EIO, StorageUnavailable), (errno.ENOSPC, StorageFull)],
        ids=["broken", "full"],
    )
    def test_unsynced_bytes_are_not_reported_after_a_later_sync(
        self,
        store: LocalStore,
        another_store: LocalStore,
        directory: Path,
        fail_next_fsync: Callable[..., None],
        number: int,
        error: type[Exception],
    ) -> None:
        upload = begin(store, b"", synced=b"synced")
        with closing(store.locker.lock(upload)) as writer:
            writer.write(b"lost")
            fail_next_fsync(path_of(directory, upload), number)
            with pytest.raises(error):
                writer.sync()
            assert writer.size == 6
        assert another_store.uploads.read(upload).size == 6
        assert bytes_of(directory, upload) == b"synced"

    def test_sync_that_failed_in_another_process_fails_the_writer(
        self,
        store: LocalStore,
        another_store: LocalStore,
        directory: Path,
        fail_next_fsync: Callable[..., None],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        upload = store.uploads.create(b"record", None)
        with closing(store.locker.lock(upload)) as writer:
            writer.write(b"lost")
            fail_next_fsync(path_of(directory, upload))
            assert another_store.uploads.read(upload).size == 0
            assert another_store.uploads.read(upload).size == 0
            assert "could not be synced" in caplog.text
            writer.write(b" and more")
            with pytest.raises(StorageUnavailable):
                writer.sync()
            writer.write(b"new")
            writer.sync()
        assert another_store.uploads.read(upload).size == 3
        assert bytes_of(directory, upload) == b"new"

    def test_unsynced_bytes_that_cannot_be_dropped_do_not_count_and_are_dropped_later(
        self,
        store: LocalStore,
        another_store: LocalStore,
        directory: Path,
        fail_next_fsync: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(descriptor: int, size: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        upload = store.uploads.create(b"record", None)
        writer = store.locker.lock(upload)
        writer.write(b"lost")
        fail_next_fsync(path_of(directory, upload))
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", refuse)
            with pytest.raises(StorageUnavailable):
                writer.sync()
            writer.close()
            assert another_store.uploads.read(upload).size == 0
            with pytest.raises(StorageUnavailable):
                another_store.locker.lock(upload)
        another_store.locker.lock(upload).close()
        assert bytes_of(directory, upload) == b""

    def test_file_whose_bytes_cannot_be_synced_is_not_published(
        self, store: LocalStore, directory: Path, fail_next_fsync: Callable[..., None]
    ) -> None:
        upload = store.uploads.create(b"record", None)
        with closing(store.locker.lock(upload)) as writer:
            writer.write(b"lost")
            fail_next_fsync(path_of(directory, upload))
            with pytest.raises(StorageUnavailable):
                writer.publish(NAME, PLAIN)
        assert not store.is_taken(NAME)

    @pytest.mark.parametrize("syncing", ["the reader", "the writer"])
    def test_bytes_whose_checkpoint_cannot_be_written_are_not_reported(
        self,
        store: LocalStore,
        another_store: LocalStore,
        monkeypatch: pytest.MonkeyPatch,
        syncing: str,
    ) -> None:
        upload = begin(store, b"", synced=b"synced")
        writer = store.locker.lock(upload)
        writer.write(b"more")
        pwrite = os.pwrite

        def fail_after_writing(descriptor: int, data: bytes, offset: int) -> int:
            # Every process can read the slot now, and a power failure would destroy it.
            pwrite(descriptor, data, offset)
            monkeypatch.setattr(os, "pwrite", pwrite)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "pwrite", fail_after_writing)
        if syncing == "the writer":
            with pytest.raises(StorageUnavailable):
                writer.sync()
        else:
            assert store.uploads.read(upload).size == 6
        writer.close()
        assert another_store.uploads.read(upload).size == 6

    def test_name_whose_directory_cannot_be_synced_is_removed(
        self, store: LocalStore, directory: Path, fail_next_fsync: Callable[..., None]
    ) -> None:
        upload = begin(store, b"data")
        fail_next_fsync(directory)
        with (
            closing(store.locker.lock(upload)) as writer,
            pytest.raises(StorageUnavailable),
        ):
            writer.publish(NAME, PLAIN)
        assert not store.is_taken(NAME)

    def test_name_that_was_published_before_is_not_removed(
        self, store: LocalStore, directory: Path, fail_next_fsync: Callable[..., None]
    ) -> None:
        # Its client was told of success, though the record could not be ended.
        upload = publish_without_ending(store)
        fail_next_fsync(directory)
        with (
            closing(store.locker.lock(upload)) as writer,
            pytest.raises(StorageUnavailable),
        ):
            writer.publish(NAME, PLAIN)
        assert (directory / NAME).read_bytes() == b"published"


def test_upload_without_a_checkpoint_is_being_removed_and_cannot_be_locked(
    store: LocalStore, directory: Path
) -> None:
    upload = store.uploads.create(b"record", None)
    path_of(directory, f"{upload}.checkpoint").unlink()
    assert store.uploads.read(upload).size == 0
    with pytest.raises(NoSuchUpload):
        store.locker.lock(upload)


@pytest.mark.usefixtures("on_disk")
def test_space_reserved_ahead_by_a_dead_process_is_not_part_of_the_published_file(
    store: LocalStore, another_store: LocalStore, directory: Path
) -> None:
    upload = store.uploads.create(b"record", None)
    with closing(store.locker.lock(upload)) as writer:
        store.reserve_space(writer, 1 << 20, ahead=16 << 20)
        writer.write(bytes(1 << 20))
    reserved = path_of(directory, upload).stat().st_blocks * 512
    with closing(another_store.locker.lock(upload)) as writer:
        writer.publish(NAME, PLAIN)
    assert (directory / NAME).stat().st_blocks * 512 < 2 << 20 < reserved
