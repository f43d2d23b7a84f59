"""Files that expire in a directory: the index, readers, and processes that are killed."""

import errno
import os
from itertools import count
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import ExpiryNotSupported, NameTaken, NotFound, StorageUnavailable
from fileservice.storage.local import LocalStore
from tests.storage.contract.expiry import FAR, LATER, OVER, due, remove_all
from tests.storage.contract.files import StoreAt
from tests.storage.local.conftest import Mount, StagedFiles
from tests.storage.local.killed_at import killed_at
from tests.storage.local.processes import StartChild, run_together
from tests.storage.store_contract import NAME, names, publish, read, replace


def entries(directory: Path) -> list[str]:
    """Return the names that the entries of the index have as their targets."""
    return [str(path.readlink()) for path in (directory / ".fileservice/expiry").glob("*/*")]


def hours(directory: Path) -> list[Path]:
    return list((directory / ".fileservice/expiry").iterdir())


EVERY_LINE = pytest.param(1, marks=[pytest.mark.thorough, pytest.mark.timeout(900)])


@pytest.mark.parametrize("step", [29, EVERY_LINE])
def test_kill_9_at_any_line_of_a_publication_leaves_no_file_for_ever(
    store: LocalStore, store_at: StoreAt, directory: Path, staged_files: StagedFiles, step: int
) -> None:
    visible = []
    for line in count(0, step):
        if not killed_at(line, lambda: publish(store, NAME, expires=OVER)):
            break
        visible.append(store.is_taken(NAME))

        assert due(store) == ([NAME] if visible[-1] else [])
        remove_all(store)
        assert not store.is_taken(NAME)

    assert len(set(visible)) == 2  # some were killed before the file was visible, some after
    remove_all(store)
    store.sweep()
    assert due(store_at(LATER)) == []
    assert (entries(directory), hours(directory), staged_files()) == ([], [], [])


@pytest.mark.parametrize("step", [29, EVERY_LINE])
def test_kill_9_at_any_line_of_a_removal_leaves_a_file_that_is_removed_later(
    store: LocalStore, store_at: StoreAt, directory: Path, step: int
) -> None:
    gone = []
    for line in count(0, step):
        file = publish(store, NAME, expires=OVER)
        if not killed_at(line, lambda file=file: store.expired.remove(file)):
            break
        gone.append(not store.is_taken(NAME))

        assert due(store) == ([] if gone[-1] else [NAME])
        assert names(store) == []
        remove_all(store)

    assert len(set(gone)) == 2
    assert due(store_at(LATER)) == []
    assert (entries(directory), hours(directory)) == ([], [])


@pytest.mark.parametrize("step", [29, EVERY_LINE])
def test_kill_9_at_any_line_of_a_replacement_leaves_no_file_for_ever(
    store: LocalStore, store_at: StoreAt, directory: Path, staged_files: StagedFiles, step: int
) -> None:
    after, replaced = store_at(FAR + 86_400), []
    for line in count(0, step):
        version = publish(store, NAME, b"old", expires=FAR).version
        was_killed = killed_at(
            line, lambda version=version: replace(store, NAME, b"new", version, expires=OVER)
        )
        replaced.append(due(store) == [NAME])

        assert remove_all(after) == [NAME]
        assert not store.is_taken(NAME)
        if not was_killed:
            break

    assert set(replaced) == {False, True}
    store.sweep()
    assert due(store_at(FAR + 2 * 86_400)) == []
    assert (entries(directory), hours(directory), staged_files()) == ([], [], [])


def test_reader_of_a_file_that_is_removed_reads_on_to_its_end(
    store: LocalStore, store_at: StoreAt
) -> None:
    data = b"0123456789" * 100_000
    publish(store, NAME, data, expires=OVER)
    with store_at(OVER - 1).open(NAME).body as body:
        beginning = body.read(10)
        assert remove_all(store) == [NAME]
        publish(store, NAME, b"another file")

        assert beginning + body.read() == data


def test_entry_is_removed_with_its_file(store: LocalStore, directory: Path) -> None:
    publish(store, NAME, expires=FAR)
    publish(store, "b.txt", expires=OVER)
    assert sorted(entries(directory)) == [NAME, "b.txt"]

    replace(store, NAME, b"new", store.stat(NAME).version, expires=FAR + 7200)
    assert sorted(entries(directory)) == [NAME, "b.txt"]
    store.delete(NAME)
    assert entries(directory) == ["b.txt"]
    remove_all(store)

    assert entries(directory) == []


def test_upload_that_loses_its_name_leaves_no_entry(store: LocalStore, directory: Path) -> None:
    """Nothing would remove it before its time, and whoever loses many races could fill the disk."""
    publish(store, NAME, expires=FAR)

    for expires in (FAR, FAR + 1, OVER):
        with pytest.raises(NameTaken):
            publish(store, NAME, b"loser", expires=expires)

    assert entries(directory) == [NAME]
    assert due(LocalStore(directory, fsync=True, clock=lambda: FAR)) == [NAME]


def test_entry_of_a_file_that_another_program_removed_is_dropped_after_an_hour(
    store: LocalStore, store_at: StoreAt, directory: Path
) -> None:
    publish(store, NAME, expires=OVER)
    (directory / NAME).unlink()

    for now, expected in ((OVER + 3600, [NAME]), (OVER + 3601, [])):
        assert due(store_at(now)) == []
        assert entries(directory) == expected
    due(store_at(LATER))
    assert hours(directory) == []


def test_file_without_an_entry_is_put_into_the_index_when_it_is_come_across(
    store: LocalStore, directory: Path
) -> None:
    """It may come from a backup without the index, or from an operator who set the attribute."""
    (directory / NAME).write_bytes(b"data")
    os.setxattr(directory / NAME, "user.fileservice.expires", b"%d" % OVER)
    assert due(store) == []

    assert names(store) == []

    assert remove_all(store) == [NAME]
    assert entries(directory) == []


@pytest.mark.parametrize(
    "value",
    [b"", b"soon", b"-1", b"1e3", b"1700000000.5", b"253402300800", b"9" * 12, b"9" * 13, b"\xff"],
)
def test_time_that_is_malformed_or_past_the_year_9999_counts_as_missing(
    store: LocalStore, directory: Path, value: bytes
) -> None:
    publish(store, NAME)
    os.setxattr(directory / NAME, "user.fileservice.expires", value)

    assert store.stat(NAME).expires is None
    assert names(store) == [NAME]


def test_file_that_cannot_be_read_does_not_keep_others_from_being_removed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one whose inode is damaged, on a disk that works otherwise."""
    for number in range(3):
        publish(store, f"{number}.txt", expires=OVER + number)
    open_file = os.open

    def open_undamaged(path: str | bytes, *arguments: int) -> int:
        if os.fsencode(path).endswith(b"/1.txt"):
            raise OSError(errno.EUCLEAN, os.strerror(errno.EUCLEAN), path)
        return open_file(path, *arguments)

    removed = []

    def remove_what_can_be_read() -> None:
        for file in store.expired.due():
            removed.append(store.expired.remove(file).name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_undamaged)
        with pytest.raises(StorageUnavailable, match="EUCLEAN"):
            remove_what_can_be_read()

    assert removed == ["0.txt", "2.txt"]
    assert remove_all(store) == ["1.txt"]


def test_what_is_no_entry_of_the_index_is_left_alone(store: LocalStore, directory: Path) -> None:
    publish(store, NAME, expires=OVER)
    [hour] = hours(directory)
    (hour / "README").write_text("note")
    (hour / f"{OVER:012d}-1").write_text("not a link")
    (hour / f"{OVER:012d}-2").symlink_to("../../secret-key")
    (directory / ".fileservice/expiry/notes").mkdir()

    assert remove_all(store) == [NAME]

    assert len(list(hour.iterdir())) == 3


def test_one_of_many_processes_removes_each_file(
    store: LocalStore, directory: Path, start_child: StartChild
) -> None:
    code = """
store = open_store(sys.argv[1], fsync=False)
for file in store.expired.due():
    try:
        print(store.expired.remove(file).name)
    except NotFound:
        pass
"""
    expected = [f"{number:03}.txt" for number in range(100)]
    for name in expected:
        publish(store, name, expires=OVER)
    publish(store, "stays.txt", expires=FAR)

    outputs = run_together(start_child, code, directory)

    assert sorted(" ".join(outputs).split()) == expected
    assert names(store) == ["stays.txt"]


def test_entry_is_kept_if_the_inode_of_a_file_had_another_name_before(
    store: LocalStore, directory: Path
) -> None:
    """An entry of a file that other programs removed may have the inode of the next one."""
    file = publish(store, NAME, expires=OVER)
    [entry] = hours(directory)[0].iterdir()
    entry.unlink()
    entry.symlink_to("other.txt")
    with pytest.raises(NotFound):
        store.stat(NAME)

    assert due(store) == [file.name]


class TestFileSystemWithoutAttributes:
    """On ramfs, which has no extended attributes."""

    @pytest.fixture
    def directory(self, mount: Mount) -> Path:
        return mount("ramfs") / "store"

    def test_file_that_expires_is_refused_and_leaves_nothing(
        self, store: LocalStore, directory: Path, staged_files: StagedFiles
    ) -> None:
        with pytest.raises(ExpiryNotSupported, match="cannot keep when a file expires"):
            publish(store, NAME, expires=FAR)

        assert (names(store), staged_files(), entries(directory)) == ([], [], [])
        publish(store, NAME, b"kept")
        assert read(store, FileName.parse(NAME)) == b"kept"
