"""Who else may read what the store creates."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_IMODE, S_ISDIR

import pytest

from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from tests.storage.store_contract import NAME, content_of, publish

RECORD = b"{}"
RESUMED = FileName.parse("resumed.txt")


@pytest.fixture(params=[0o077, 0o027, 0o022, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return S_IMODE(path.lstat().st_mode)


def publish_in_all_ways(root: Path) -> list[Path]:
    """Publish a file by a writer, by an upload, in the place of another, and use everything."""
    store = LocalStore(root, fsync=True)
    publish(store, NAME)
    upload = store.uploads.create(RECORD, 4)
    store.locker.request_release(upload)
    with closing(store.locker.lock(upload)) as writer:
        writer.write(b"text")
        writer.sync()
        writer.publish(RESUMED, content_of(b"text"), expires=4_000_000_000)
        writer.end(RECORD)
    store.uploads.create(RECORD, 4)
    store.uploads.create_ended(RECORD)
    store.private_files.create("folder/key", b"secret")
    store.usage.update("token:ci", lambda _record: b"{}")
    list(store.list())
    return [root / NAME, root / RESUMED]


def test_published_files_have_what_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    root = tmp_path / "store"
    for path in publish_in_all_ways(root):
        assert mode(path) == 0o666 & ~umask
    assert mode(root) == 0o777 & ~umask


def test_everything_else_is_for_the_user_of_the_service_alone(tmp_path: Path, umask: int) -> None:
    root = tmp_path / "store"
    published = {path.stat().st_ino for path in publish_in_all_ways(root)}
    private = root / ".fileservice"
    assert mode(private) == 0o700
    found = [path for path in private.rglob("*") if not path.is_symlink()]
    assert {path.name for path in found} >= {"staging", "uploads", "identity", "key", "usage"}
    for path in found:
        if S_ISDIR(path.stat().st_mode):
            assert mode(path) == 0o700, path
        elif path.parent.name != "uploads" or path.suffix:
            assert path.stat().st_ino not in published
            assert mode(path) == 0o600, path


def test_a_start_closes_the_private_directory_of_an_earlier_version(tmp_path: Path) -> None:
    LocalStore(tmp_path, fsync=False)
    private = tmp_path / ".fileservice"
    private.chmod(0o755)
    LocalStore(tmp_path, fsync=False)
    assert mode(private) == 0o700
