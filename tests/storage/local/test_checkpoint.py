"""What is counted of an unfinished upload after a power cut, and after a sync that failed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import Content, NoSuchUpload, StorageFull, StorageUnavailable
from fileservice.storage.local import LocalStore, checkpoint

NAME = FileName.parse("note.txt")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path) -> LocalStore:
    return LocalStore(directory, fsync=True)


@pytest.fixture
def another(store: LocalStore, directory: Path) -> LocalStore:
    """The store as another process sees it."""
    return LocalStore(directory, fsync=True)


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the page cache be another one from now on, and so nothing vouched for by it."""
    return lambda: monkeypatch.setattr(checkpoint, "page_cache_of", lambda _: "another-boot")


@pytest.fixture
def syncs_fail(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Callable[[int], None]:
    """Have the next fsync of an upload's bytes fail, and later ones succeed, as the kernel does."""
    fsync = os.fsync

    def fail(number: int) -> None:
        def failing(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.parent.name == "uploads" and not path.suffix and not path.is_dir():
                monkeypatch.setattr(os, "fsync", fsync)
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)

    return fail


def bytes_of(directory: Path, upload: str) -> bytes:
    return (directory / ".fileservice/uploads" / upload).read_bytes()


def test_bytes_past_the_last_sync_count_no_more_after_a_power_cut(
    store: LocalStore, directory: Path, power_cut: Callable[[], None]
) -> None:
    upload = store.uploads.create(b"record", 100)
    writer = store.locker.lock(upload)
    writer.write(b"synced")
    writer.sync()
    writer.write(b"\0" * 50)  # the size may reach the disk, and the bytes not
    writer.close()
    power_cut()
    after = LocalStore(directory, fsync=True)
    assert after.uploads.read(upload).size == 6
    writer = after.locker.lock(upload)
    assert writer.size == 6
    assert bytes_of(directory, upload) == b"synced"
    writer.write(b" again")
    writer.sync()
    writer.close()
    assert after.uploads.read(upload).size == 12
    assert bytes_of(directory, upload) == b"synced again"


def test_bytes_of_a_process_that_died_count_while_the_machine_lives(
    store: LocalStore, another: LocalStore, power_cut: Callable[[], None]
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"unsynced")
    writer.close()
    assert another.uploads.read(upload).size == 8
    power_cut()
    assert another.uploads.read(upload).size == 8  # it was told, so it stays


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EIO, StorageUnavailable), (errno.ENOSPC, StorageFull)],
    ids=["broken", "full"],
)
def test_what_could_not_be_synced_is_not_told_by_a_later_sync(
    store: LocalStore,
    another: LocalStore,
    directory: Path,
    syncs_fail: Callable[[int], None],
    number: int,
    error: type[Exception],
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"synced")
    writer.sync()
    writer.write(b"lost")
    syncs_fail(number)
    with pytest.raises(error):
        writer.sync()
    assert writer.size == 6
    writer.close()
    assert another.uploads.read(upload).size == 6
    assert bytes_of(directory, upload) == b"synced"


def test_what_somebody_who_asks_could_not_sync_is_not_told_and_stops_the_writer(
    store: LocalStore,
    another: LocalStore,
    directory: Path,
    syncs_fail: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"lost")
    syncs_fail(errno.EIO)
    assert another.uploads.read(upload).size == 0
    assert another.uploads.read(upload).size == 0
    assert "could not be synced" in caplog.text
    writer.write(b" and more")
    with pytest.raises(StorageUnavailable):
        writer.sync()
    writer.write(b"new")
    writer.sync()
    writer.close()
    assert another.uploads.read(upload).size == 3
    assert bytes_of(directory, upload) == b"new"


def test_where_the_lost_bytes_cannot_be_dropped_they_are_not_counted_and_dropped_later(
    store: LocalStore,
    another: LocalStore,
    directory: Path,
    syncs_fail: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"lost")
    syncs_fail(errno.EIO)

    def refuse(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", refuse)
        with pytest.raises(StorageUnavailable):
            writer.sync()
        writer.close()
        assert another.uploads.read(upload).size == 0
        with pytest.raises(StorageUnavailable):
            another.locker.lock(upload)
    another.locker.lock(upload).close()
    assert bytes_of(directory, upload) == b""


def test_a_publication_whose_bytes_cannot_be_synced_publishes_nothing(
    store: LocalStore, syncs_fail: Callable[[int], None]
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"lost")
    syncs_fail(errno.EIO)
    with pytest.raises(StorageUnavailable):
        writer.publish(NAME, Content("text/plain"))
    writer.close()
    assert not store.is_taken(NAME)


@pytest.mark.parametrize("asker", ["who asks", "the writer"])
def test_bytes_whose_checkpoint_does_not_reach_the_disk_are_not_told(
    store: LocalStore,
    another: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    asker: str,
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"synced")
    writer.sync()
    writer.write(b"more")
    pwrite = os.pwrite

    def failing(descriptor: int, data: bytes, offset: int) -> int:
        pwrite(descriptor, data, offset)  # whoever reads it sees it, and a power cut takes it
        monkeypatch.setattr(os, "pwrite", pwrite)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwrite", failing)
    if asker == "the writer":
        with pytest.raises(StorageUnavailable):
            writer.sync()
    else:
        assert store.uploads.read(upload).size == 6
    writer.close()
    assert another.uploads.read(upload).size == 6


def test_bytes_that_were_replaced_are_not_vouched_for_by_the_ones_before(
    store: LocalStore, directory: Path, power_cut: Callable[[], None]
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"kept, damaged")
    writer.sync()
    writer.truncate(4)
    writer.write(b"\0" * 9)
    writer.close()
    power_cut()
    assert LocalStore(directory, fsync=True).uploads.read(upload).size == 4


def test_a_file_that_is_published_is_never_cut(
    store: LocalStore, directory: Path, power_cut: Callable[[], None]
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"published")
    writer.publish(NAME, Content("text/plain"))
    writer.close()  # and it died before the record said so
    power_cut()
    (directory / ".fileservice/uploads" / f"{upload}.checkpoint").write_bytes(b"\0" * 1024)
    after = LocalStore(directory, fsync=True)
    assert after.uploads.read(upload).size == 9
    after.locker.lock(upload).close()
    assert (directory / NAME).read_bytes() == b"published"


@pytest.mark.parametrize("fsync", [True, False])
def test_a_file_that_is_published_can_be_published_again_after_a_power_cut(
    directory: Path, power_cut: Callable[[], None], fsync: bool
) -> None:
    store = LocalStore(directory, fsync=fsync)
    content = Content("text/plain", sha256=b"a digest of thirty-two bytes ...")
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"published")
    published = writer.publish(NAME, content)
    writer.close()  # and it died before the record said so
    power_cut()
    after = LocalStore(directory, fsync=True)
    writer = after.locker.lock(upload)
    assert writer.publish(NAME, content) == published
    writer.close()
    assert after.stat(NAME) == published
    assert (directory / NAME).read_bytes() == b"published"


def test_a_file_that_was_published_before_outlasts_a_publication_that_fails(
    store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"published")
    writer.publish(NAME, Content("text/plain"))
    writer.close()  # and its record could not be written: the client was told of success

    def fail(path: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fileservice.storage.local.writer.sync_directory", fail)
    writer = store.locker.lock(upload)
    with pytest.raises(StorageUnavailable):
        writer.publish(NAME, Content("text/plain"))
    writer.close()
    assert (directory / NAME).read_bytes() == b"published"


@pytest.mark.parametrize("syncs", [2, 3])  # the newest slot is the one or the other
@pytest.mark.parametrize("damage", [b"", b"\0" * 512, b"\xff" * 512, b"7 7"])
def test_a_slot_that_a_power_cut_has_torn_leaves_the_one_before(
    store: LocalStore, directory: Path, damage: bytes, syncs: int
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    for _ in range(syncs):
        before = writer.size
        writer.write(b"more")
        writer.sync()
    writer.close()
    path = directory / ".fileservice/uploads" / f"{upload}.checkpoint"
    slots = [path.read_bytes()[:512], path.read_bytes()[512:]]
    newest = max(range(2), key=lambda slot: int(slots[slot].split(b" ")[0]))
    slots[newest] = damage.ljust(512, b"\0")
    path.write_bytes(b"".join(slots))
    with checkpoint.locked(os.fsencode(path)) as known:
        assert known.offset == before


def test_an_upload_whose_checkpoint_is_gone_is_being_removed(
    store: LocalStore, directory: Path
) -> None:
    upload = store.uploads.create(b"record", None)
    (directory / ".fileservice/uploads" / f"{upload}.checkpoint").unlink()
    assert store.uploads.read(upload).size == 0
    with pytest.raises(NoSuchUpload):
        store.locker.lock(upload)


def test_without_fsync_what_is_there_counts(directory: Path, power_cut: Callable[[], None]) -> None:
    store = LocalStore(directory, fsync=False)
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"there")
    writer.close()
    power_cut()
    assert store.uploads.read(upload).size == 5


def test_room_that_a_process_took_ahead_and_did_not_give_back_is_not_published(
    store: LocalStore, another: LocalStore, directory: Path
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    store.reserve_space(writer, 1 << 20, ahead=16 << 20)
    writer.write(bytes(1 << 20))
    writer.close()  # it was killed
    writer = another.locker.lock(upload)
    writer.publish(NAME, Content("text/plain"))
    writer.close()
    assert (directory / NAME).stat().st_blocks * 512 < 2 << 20
