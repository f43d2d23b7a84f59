"""The identity of a store, and what happens to one that is not the expected store."""

import contextlib
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import StorageUnavailable, verify_store
from fileservice.storage.local import LocalStore
from tests.storage.local.processes import StartChild, run_together
from tests.storage.store_contract import NAME, content_of, names, publish, read


def test_store_keeps_the_identity_of_its_first_verification(directory: Path) -> None:
    first = verify_store(str(directory), fsync=True)
    again = verify_store(str(directory), fsync=True)

    assert first.identity == again.identity
    assert (directory / ".fileservice/identity").read_text() == f"{first.identity}\n"
    assert any(str(first.identity) in message for _, message in first.messages)
    assert again.messages == ()


def test_two_stores_have_different_identities(tmp_path: Path) -> None:
    identities = {
        verify_store(str(tmp_path / name), fsync=True).identity for name in ("one", "two")
    }
    assert len(identities) == 2


def test_processes_that_verify_a_new_store_at_once_agree_on_its_identity(
    directory: Path, start_child: StartChild
) -> None:
    code = "print(verify_store(sys.argv[1], fsync=True).identity)"
    [identity] = set(run_together(start_child, code, directory))
    assert (directory / ".fileservice/identity").read_text() == f"{identity}\n"


@pytest.mark.parametrize("marker", [b"", b"\0" * 33, b"0" * 32 + b"\n", None])
def test_store_with_another_marker_or_none_is_not_written_to_and_not_listed(
    store: LocalStore, directory: Path, marker: bytes | None
) -> None:
    publish(store, NAME)
    writer = store.writer()
    path = directory / ".fileservice/identity"
    path.unlink()
    if marker is not None:
        path.write_bytes(marker)

    try:
        for call in (
            store.writer,
            store.check,
            store.sweep,
            lambda: writer.publish(FileName.parse("b.txt"), content_of(b"")),
            lambda: store.uploads.create(b"record", 1),
            lambda: store.uploads.read("0" * 32),
            lambda: store.uploads.bytes_written("0" * 32),
            lambda: store.locker.lock("0" * 32),
            lambda: store.stat(FileName.parse("none.txt")),
            lambda: store.delete(NAME),
            lambda: names(store),
        ):
            with pytest.raises(StorageUnavailable, match="not the one"):
                call()
    finally:
        writer.close()
    assert [path.name for path in directory.iterdir() if path.is_file()] == [NAME]
    assert read(store, NAME) == b"data"  # a file that is found is read without a check


def test_record_of_an_upload_is_not_written_to_another_store(
    store: LocalStore, directory: Path
) -> None:
    writer = store.locker.lock(store.uploads.create(b"record", 1))
    (directory / ".fileservice/identity").write_bytes(b"0" * 32 + b"\n")

    with contextlib.closing(writer), pytest.raises(StorageUnavailable, match="not the one"):
        writer.update(b"another record")


def test_verified_store_is_created_by_the_first_write(directory: Path) -> None:
    directory.mkdir()
    store = LocalStore(directory, fsync=True, verified=True)
    assert names(store) == []
    assert list(directory.iterdir()) == []

    publish(store, NAME)

    assert names(store) == [NAME]
    assert (directory / ".fileservice/identity").exists()


def test_store_that_must_have_an_identity_is_not_created(directory: Path) -> None:
    directory.mkdir()
    store = LocalStore(directory, fsync=True, verified=True, identity="0" * 32)

    with pytest.raises(StorageUnavailable):
        store.writer()
    with pytest.raises(StorageUnavailable):
        verify_store(str(directory), fsync=True, identity="0" * 32)
    assert list(directory.iterdir()) == []


def test_missing_directory_of_a_store_is_created_before_it_is_needed(
    store: LocalStore, directory: Path
) -> None:
    (directory / ".fileservice/release-requests").rmdir()

    another = LocalStore(directory, fsync=True, verified=True)
    another.writer().close()

    assert another.locker.release_requests() == []
