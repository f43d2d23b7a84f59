"""Staged files: they disappear with their writers, however those end."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from fileservice.storage import open_store
from fileservice.storage.local import LocalStore, staging
from tests.storage.local.conftest import StagedFiles
from tests.storage.local.processes import StartChild
from tests.storage.store_contract import NAME, content_of, publish, read

WRITE = """
store = open_store(sys.argv[1], fsync=False)
writer = store.writer()
writer.write(b"data")
print("ready", flush=True)
sys.stdin.readline()
"""
WRITE_AND_PUBLISH = WRITE.replace(
    "print(", 'writer.publish(FileName.parse("a.txt"), Content("text/plain"))\nprint('
)


def test_sweep_removes_the_file_of_a_killed_writer_and_spares_that_of_a_live_one(
    store: LocalStore, staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    live, killed = start_child(WRITE, directory), start_child(WRITE, directory)
    live.wait_until_ready()
    killed.wait_until_ready()
    assert len(staged_files()) == 2

    killed.kill()
    store.sweep()
    assert len(staged_files()) == 1
    store.sweep()
    assert len(staged_files()) == 1

    live.kill()
    store.sweep()
    assert staged_files() == []


def test_name_that_the_clone_of_a_machine_has_given_is_left_to_it(tmp_path: Path) -> None:
    """Processes that are copied with their memory go on with the same names."""
    directory = os.fsencode(tmp_path)
    descriptor, path = staging.create(directory)
    name, number = path[:-8], int(path[-8:], 16)
    other = Path(os.fsdecode(b"%b%08x" % (name, number + 1)))
    other.write_bytes(b"of the other")
    another, another_path = staging.create(directory)
    os.close(descriptor)
    os.close(another)
    assert another_path == b"%b%08x" % (name, number + 2)
    assert other.read_bytes() == b"of the other"


def test_opening_a_store_sweeps_it(
    staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    writer = start_child(WRITE, directory)
    writer.wait_until_ready()
    writer.kill()
    assert staged_files()

    open_store(str(directory), fsync=False)

    assert staged_files() == []


def test_file_of_a_writer_killed_between_publish_and_close_stays_published(
    store: LocalStore, staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    writer = start_child(WRITE_AND_PUBLISH, directory)
    writer.wait_until_ready()
    writer.kill()

    store.sweep()

    assert staged_files() == []
    assert read(store, NAME) == b"data"


def test_closed_writer_leaves_no_staged_file(store: LocalStore, staged_files: StagedFiles) -> None:
    writer = store.writer()
    writer.write(b"data")
    assert len(staged_files()) == 1
    writer.close()
    assert staged_files() == []


def test_file_is_published_though_its_staged_name_cannot_be_removed(
    store: LocalStore,
    staged_files: StagedFiles,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = store.writer()
    writer.write(b"published")
    writer.publish(NAME, content_of(b"published"))

    def fail(path: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fail)
        writer.close()
    assert (directory / NAME).read_bytes() == b"published"
    store.sweep()
    assert staged_files() == []
    assert (directory / NAME).read_bytes() == b"published"


def test_published_file_has_no_staged_name(
    store: LocalStore, staged_files: StagedFiles, directory: Path
) -> None:
    publish(store, NAME)

    assert staged_files() == []
    assert (directory / NAME).stat().st_nlink == 1


def test_listing_leaves_no_staged_file(store: LocalStore, staged_files: StagedFiles) -> None:
    publish(store, "a.txt")

    for expected in (next(store.list()).name, *(file.name for file in store.list())):
        assert expected == "a.txt"

    assert staged_files() == []


@pytest.mark.parametrize("sweep", ["has ended", "has begun"])
def test_staged_file_that_is_swept_before_it_is_locked_is_replaced_by_another(
    store: LocalStore,
    another_store: LocalStore,
    staged_files: StagedFiles,
    monkeypatch: pytest.MonkeyPatch,
    sweep: str,
) -> None:
    """Without a lock it looks like the file of a dead writer."""
    flock = fcntl.flock
    swept: list[Path] = []

    def sweep_before_lock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        swept.extend(staged_files())
        if sweep == "has ended":
            another_store.sweep()
            flock(descriptor, operation)
        else:
            with swept[0].open() as opened_by_sweep:
                flock(opened_by_sweep, fcntl.LOCK_EX)
                try:
                    flock(descriptor, operation)
                finally:
                    swept[0].unlink()

    monkeypatch.setattr(fcntl, "flock", sweep_before_lock)
    publish(store, NAME)

    assert len(swept) == 1
    assert not swept[0].exists()
    assert read(store, NAME) == b"data"
    assert staged_files() == []
