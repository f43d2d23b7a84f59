"""Files that other programs put into the directory."""

import contextlib
import os
import socket
import tempfile
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import Content, NotFound
from fileservice.storage.local import LocalStore
from tests.storage.local.processes import StartChild
from tests.storage.store_contract import NAME, names, publish, read
from tests.support.requirements import require


def test_file_put_into_the_directory_is_served(store: LocalStore, directory: Path) -> None:
    (directory / "b.pdf").write_bytes(b"copied here")
    (directory / "no extension").write_bytes(b"")

    assert names(store) == ["b.pdf", "no extension"]
    assert read(store, "b.pdf") == b"copied here"
    described = store.stat(FileName.parse("b.pdf"))
    assert described.content == Content("application/pdf", None, None)
    assert described.size == 11
    store.delete(FileName.parse("b.pdf"), described.version)
    assert names(store) == ["no extension"]


@pytest.mark.parametrize("kind", ["directory", "link", "dangling link", "fifo", "socket"])
def test_entry_that_is_not_a_regular_file_is_not_served_and_its_name_is_taken(
    store: LocalStore, directory: Path, kind: str
) -> None:
    path = directory / NAME
    target = directory.parent / "secret.txt"
    target.write_bytes(b"secret")
    match kind:
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(directory):
                listening.bind(NAME)

    assert names(store) == []
    for call in (store.open, store.stat, store.delete):
        with pytest.raises(NotFound):
            call(NAME)
    assert store.is_taken(NAME)
    assert os.path.lexists(path)
    assert target.read_bytes() == b"secret"


def test_names_that_are_not_valid_in_a_request_are_not_listed(
    store: LocalStore, directory: Path
) -> None:
    for raw in (b".hidden", b"caf\xe9.txt", b"cafe\xcc\x81.txt", b"a\nb.txt", b"a\\b", b"CON"):
        (directory / os.fsdecode(raw)).write_bytes(b"")
    publish(store, NAME)

    assert names(store) == [NAME]


def test_file_without_read_permission_does_not_hide_the_others(start_child: StartChild) -> None:
    """An rsync by another user leaves such files."""
    if os.geteuid() != 0:
        require("only root can become another user")
    code = """
import os
root = Path(sys.argv[1])
store = open_store(str(root), fsync=False)
for name in ("a.txt", "b.txt", "c.txt"):
    (root / name).write_bytes(b"")
os.chmod(root / "b.txt", 0)
for path in (root, *root.rglob("*")):
    os.chown(path, 65534, 65534)
os.chown(root / "b.txt", 0, 0)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(*(file.name for file in store.list()))
"""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        listed = start_child(code, Path(path) / "store").output().split()

    assert listed == ["a.txt", "c.txt"]


def test_files_created_and_renamed_by_other_programs_are_listed(
    store: LocalStore, directory: Path
) -> None:
    publish(store, "b.txt")
    assert names(store) == ["b.txt"]

    (directory / "c.txt").write_bytes(b"")
    (directory / "a.txt").write_bytes(b"")
    assert names(store) == ["a.txt", "b.txt", "c.txt"]

    (directory / "b.txt").rename(directory / "d.txt")
    assert names(store) == ["a.txt", "c.txt", "d.txt"]
