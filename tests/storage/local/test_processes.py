"""Many processes that use one directory at the same time."""

from pathlib import Path

from fileservice.storage.local import LocalStore
from tests.storage.local.conftest import StagedFiles
from tests.storage.local.processes import StartChild, run_together
from tests.storage.store_contract import publish, read


def test_many_processes_can_open_a_directory_at_once(
    staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    """The workers of a server do."""
    code = """
for _ in range(200):
    try:
        open_store(sys.argv[1], fsync=False)
    except StorageUnavailable as error:
        print(error)
        break
"""
    assert set(run_together(start_child, code, directory)) == {""}
    assert staged_files() == []


def test_one_of_many_processes_that_publish_a_name_succeeds(
    store: LocalStore, staged_files: StagedFiles, directory: Path, start_child: StartChild
) -> None:
    code = """
store = open_store(sys.argv[1], fsync=False)
for number in range(50):
    writer = store.writer()
    writer.write(sys.argv[2].encode() * 5000)
    try:
        writer.publish(FileName.parse(f"{number}.txt"), Content("text/plain"))
        print(number)
    except NameTaken:
        pass
    finally:
        writer.close()
"""
    outputs = run_together(start_child, code, directory)

    for number in range(50):
        [winner] = [n for n, output in enumerate(outputs) if str(number) in output.split()]
        assert read(store, f"{number}.txt") == b"%d" % winner * 5000
    assert staged_files() == []


def test_listings_are_correct_while_other_processes_publish_and_delete(
    store: LocalStore, directory: Path, start_child: StartChild
) -> None:
    code = """
store = open_store(sys.argv[1], fsync=False)
own = FileName.parse(f"m-own-{sys.argv[2]}.txt")
for _ in range(30):
    writer = store.writer()
    try:
        writer.publish(own, Content("text/plain"))
    finally:
        writer.close()
    listed = [file.name for file in store.list()]
    if own not in listed or listed != sorted(set(listed)):
        print("own name missing, or not sorted", listed)
    if [name for name in listed if "stable" in name] != [f"{n:03}-stable.txt" for n in range(100)]:
        print("a stable name is missing", listed)
    store.delete(own)
    if own in [file.name for file in store.list(prefix="m-")]:
        print("a deleted name is listed")
"""
    for number in range(100):
        publish(store, f"{number:03}-stable.txt")

    assert set(run_together(start_child, code, directory)) == {""}
