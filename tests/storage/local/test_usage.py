"""The records of usage in a directory: changed on a full disk, and not believed if in doubt."""

from contextlib import suppress
from pathlib import Path

import pytest

from fileservice.storage import StorageFull
from fileservice.storage.local import LocalStore
from tests.storage.local.conftest import Mount
from tests.storage.local.processes import StartChild, run_together

ADA = "person:ada@example.org"


def record_path(directory: Path) -> Path:
    [path] = (directory / ".fileservice/usage").iterdir()
    return path


def test_record_is_changed_on_a_disk_that_is_full(mount: Mount) -> None:
    """So that the bytes of a file that is deleted are given back."""
    root = mount("tmpfs", "size=1m")
    store = LocalStore(root, fsync=True)
    store.usage.update(ADA, lambda _: b"before")
    with suppress(OSError), (root / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass

    store.usage.update(ADA, lambda _: b"after, and longer")

    assert (store.usage.read(ADA) or b"").strip() == b"after, and longer"
    with pytest.raises(StorageFull):
        store.usage.update(ADA, lambda _: bytes(100_000))


@pytest.mark.parametrize("offset", [0, 20, 60, 2000])
def test_damaged_record_is_missing(store: LocalStore, directory: Path, offset: int) -> None:
    """Its checksum, the id of the boot, its text, and the blanks behind it."""
    store.usage.update(ADA, lambda _: b"record")
    data = bytearray(record_path(directory).read_bytes())
    data[offset] ^= 1
    record_path(directory).write_bytes(data)

    assert store.usage.read(ADA) is None
    assert list(store.usage.records()) == []
    store.usage.update(ADA, lambda record: record or b"new")
    assert (store.usage.read(ADA) or b"").strip() == b"new"


def test_removed_record_is_made_anew(store: LocalStore, directory: Path) -> None:
    store.usage.update(ADA, lambda _: b"record")
    record_path(directory).unlink()
    assert store.usage.read(ADA) is None
    store.usage.update(ADA, lambda record: record or b"new")
    assert (store.usage.read(ADA) or b"").strip() == b"new"


def test_no_change_of_many_processes_is_lost(
    store: LocalStore, directory: Path, start_child: StartChild
) -> None:
    code = """
store = open_store(sys.argv[1], fsync=False)
for _ in range(200):
    store.usage.update("ada", lambda record: b"%d" % (int(record or b"0") + 1))
"""
    assert set(run_together(start_child, code, directory)) == {""}
    assert int(store.usage.read("ada") or b"") == 800
