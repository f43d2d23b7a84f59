"""The index of names while the directory changes: it never lags behind, whoever changes it."""

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.storage.local.directory_changes import DirectoryChanges
from fileservice.storage.local.index import NameIndex, Watch
from tests.storage.local.killed_at import killed_at
from tests.storage.local.processes import StartChild, run_together
from tests.storage.local.test_index import not_watched

MAX_QUEUED = Path("/proc/sys/fs/inotify/max_queued_events")
PROJECT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory with a place for its index."""
    root = tmp_path / "root"
    (root / ".index").mkdir(parents=True)
    return root


def index_of(
    root: Path, *, max_changed: int = 8192, run: int = 50_000, watch: Watch = DirectoryChanges.watch
) -> NameIndex:
    """The index of the names in `root`, as one process has it."""
    own = bytes(root / ".index")
    return NameIndex(
        bytes(root), own + b"/names", own, run=run, max_changed=max_changed, watch=watch
    )


def names_in(root: Path) -> list[bytes]:
    """What the index should have: the directory, read and sorted."""
    return sorted(
        os.fsencode(path.name)
        for path in root.iterdir()
        if path.is_file() and not path.is_symlink() and path.name[0] != "."
    )


def stored(root: Path) -> int:
    """Which file of names there is."""
    return (root / ".index" / "names").stat().st_ino


def changes_of_all_kinds(root: Path) -> Iterator[str]:
    """Change the directory as other programs do, and say how."""
    outside = root.parent / "outside"
    outside.mkdir()
    for name in "bdf":
        (root / name).touch()
        yield "created"
    os.link(root / "b", root / "a")
    yield "linked"
    (outside / "e").touch()
    (outside / "e").rename(root / "e")
    yield "moved in"
    (root / "f").rename(root / "g")
    yield "renamed"
    (root / "g").rename(root / "a")
    yield "renamed over another"
    (root / "b").rename(outside / "b")
    yield "moved away"
    (root / "d").unlink()
    yield "deleted"
    (root / ".hidden").touch()
    (root / ".hidden").rename(root / "c")
    yield "renamed from a hidden name"
    (root / "c").rename(root / ".hidden")
    yield "renamed to a hidden name"
    (root / "x").mkdir()
    yield "a directory"
    (root / "x").rmdir()
    (root / "x").touch()
    yield "a file in the place of a directory"
    (root / "x").unlink()
    (root / "x").symlink_to("a")
    yield "a link in the place of a file"
    (outside / "x").touch()
    (outside / "x").rename(root / "x")
    yield "a file in the place of a link"
    (root / "two\nlines").touch()
    (root / "two\nlines").unlink()
    yield "a name that is never listed"


@pytest.mark.parametrize("watch", [DirectoryChanges.watch, not_watched])
@pytest.mark.parametrize("max_changed", [0, 2, 8192])
def test_change_of_any_kind_is_seen(root: Path, watch: Watch, max_changed: int) -> None:
    index = index_of(root, watch=watch, max_changed=max_changed)
    assert list(index.names(b"")) == []

    for change in changes_of_all_kinds(root):
        assert list(index.names(b"")) == names_in(root), change


@pytest.mark.parametrize(
    ("seed", "steps"),
    [(1, 400), *(pytest.param(seed, 1500, marks=pytest.mark.thorough) for seed in (2, 3, 4))],
)
def test_processes_that_share_the_file_of_names_agree_with_the_directory(
    root: Path, seed: int, steps: int
) -> None:
    """Each of them may replace it, for all others."""
    choose = random.Random(str(seed))
    indexes = [index_of(root, max_changed=most, run=7) for most in (0, 3, 10, 8192)]
    indexes.append(index_of(root, watch=not_watched))
    for _ in range(steps):
        name = root / "".join(choose.choices("abc\x01é", k=choose.randint(1, 3)))
        if not name.exists():
            name.touch()
        elif choose.random() < 0.5:
            name.unlink()
        else:
            name.rename(root / "".join(choose.choices("abc", k=3)))
        start = os.fsencode("".join(choose.choices("abc", k=choose.randint(0, 2))))
        found = list(choose.choice(indexes).names(start))
        assert found == [each for each in names_in(root) if each >= start]


def test_changes_do_not_make_the_index_read_the_directory(root: Path) -> None:
    """The file of names stays as it is until many names have changed, and is then merged."""
    (root / "first").touch()
    index = index_of(root, max_changed=5)
    list(index.names(b""))
    first = stored(root)
    for number in range(5):
        (root / f"{number}").touch()
        list(index.names(b""))
    assert stored(root) == first

    (root / "first").unlink()
    assert list(index.names(b"")) == [b"0", b"1", b"2", b"3", b"4"]
    assert stored(root) != first


def test_names_that_stay_are_listed_once_by_a_reader_who_began_before_the_changes(
    root: Path,
) -> None:
    for number in range(3000):
        (root / f"{number:04}").touch()
    index = index_of(root, max_changed=100)
    (root / "0500-deleted-before").touch()
    (root / "0500-deleted-before").unlink()
    reader = index.names(b"")
    listed = [next(reader)]

    for number in range(1, 3000, 2):
        (root / f"{number:04}").rename(root / f"{number:04}-renamed")
        if number % 100 == 1:
            list(index.names(b""))
            listed.append(next(reader))
    listed += reader

    assert listed == sorted(set(listed))
    assert [name for name in listed if len(name) == 4 and int(name) % 2 == 0] == [
        b"%04d" % number for number in range(0, 3000, 2)
    ]


@pytest.mark.thorough
def test_all_changes_are_seen_if_there_are_more_than_the_kernel_keeps(root: Path) -> None:
    index = index_of(root)
    (root / "stays").touch()
    assert list(index.names(b"")) == [b"stays"]
    (root / "first").touch()
    for _ in range(int(MAX_QUEUED.read_text()) // 2 + 1):
        (root / "changes").touch()
        (root / "changes").unlink()
    (root / "last").touch()

    assert list(index.names(b"")) == [b"first", b"last", b"stays"]
    (root / "later").touch()
    assert list(index.names(b"")) == [b"first", b"last", b"later", b"stays"]


def test_another_directory_in_the_place_of_the_first_is_read(root: Path) -> None:
    index = index_of(root)
    (root / "a").touch()
    assert list(index.names(b"")) == [b"a"]
    other = root.parent / "other"
    shutil.copytree(root, other)
    (other / "a").rename(other / "b")

    root.rename(root.parent / "aside")
    other.rename(root)

    assert list(index.names(b"")) == [b"b"]
    (root / "c").touch()
    assert list(index.names(b"")) == [b"b", b"c"]


def test_file_of_names_that_was_restored_from_a_backup_is_not_believed(root: Path) -> None:
    index = index_of(root, max_changed=0)
    (root / "a").touch()
    list(index.names(b""))
    backup = (root / ".index" / "names").read_bytes()
    (root / "b").touch()
    assert list(index.names(b"")) == [b"a", b"b"]

    (root / ".index" / "names").write_bytes(backup)

    assert list(index.names(b"")) == [b"a", b"b"]


def test_child_that_a_process_forks_takes_no_changes_away_from_it(root: Path) -> None:
    index = index_of(root)
    list(index.names(b""))
    (root / "a").touch()
    child = os.fork()
    if not child:
        os._exit(list(index.names(b"")) != [b"a"])
    assert os.waitpid(child, 0)[1] == 0
    assert list(index.names(b"")) == [b"a"]


def test_threads_see_the_files_that_each_of_them_has_stored(root: Path) -> None:
    index, missing = index_of(root, max_changed=20), []

    def store(thread: int) -> None:
        for number in range(100):
            name = b"%d-%03d" % (thread, number)
            (root / os.fsdecode(name)).touch()
            if next(index.names(name)) != name:
                missing.append(name)

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert list(index.names(b"")) == names_in(root)


def test_processes_see_the_files_that_each_of_them_has_stored(
    root: Path, start_child: StartChild
) -> None:
    """Each tells the others what it has stored, and looks for what they have told it."""
    code = """
import os
from fileservice.storage.local.index import NameIndex
root, number = os.fsencode(sys.argv[1]), sys.argv[2]
index = NameIndex(root, root + b"/.index/names", root + b"/.index", max_changed=int(number))
told = os.open(sys.argv[1] + "-told", os.O_RDWR | os.O_CREAT | os.O_APPEND)
for turn in range(100):
    name = f"{number}-{turn:03}"
    open(os.path.join(root, name.encode()), "x").close()
    os.write(told, name.encode() + b"\\n")
    expected = set(os.pread(told, 1 << 20, 0).split())
    listed = list(index.names(b""))
    if not expected <= set(listed) or listed != sorted(set(listed)):
        print("missing or not sorted", sorted(expected - set(listed)))
        break
"""
    assert set(run_together(start_child, code, root)) == {""}
    assert list(index_of(root).names(b"")) == names_in(root)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "step", [29, *(pytest.param(step, marks=pytest.mark.thorough) for step in (7, 11))]
)
def test_process_that_is_killed_at_any_line_while_it_writes_the_names_harms_no_other(
    root: Path, step: int
) -> None:
    (root / "a").touch()
    index = index_of(root, max_changed=0)
    line = 0

    def read_and_write() -> None:
        own = index_of(root, max_changed=0)
        list(own.names(b""))
        (root / "b").touch()
        list(own.names(b""))

    while killed_at(line, read_and_write):
        (root / "c").touch()
        assert list(index.names(b"")) == names_in(root)
        (root / "b").unlink(missing_ok=True)
        (root / "c").unlink()
        assert list(index.names(b"")) == [b"a"]
        line += step
    assert line > 10 * step
    assert list(index.names(b"")) == names_in(root)


def test_names_are_listed_where_the_kernel_allows_no_watch(
    root: Path, tool: Callable[[str], str]
) -> None:
    code = """
import logging, os, sys
from fileservice.storage.local.index import NameIndex
logging.basicConfig(format="%(message)s")
root = os.fsencode(sys.argv[1])
index = NameIndex(root, root + b"/.index/names", root + b"/.index")
for number in range(20):
    open(os.path.join(root, b"%02d" % number), "x").close()
    assert len(list(index.names(b""))) == number + 1
"""
    limit = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
    command = [tool("unshare"), "--user", "--map-root-user", "sh", "-c", limit, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, str(root)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be watched") == 1
    assert "inotify_init1" in done.stderr or "Too many open files" in done.stderr


def test_file_systems_that_other_machines_may_change_are_not_watched() -> None:
    assert DirectoryChanges.watch(b"/proc") is None
    assert DirectoryChanges.watch(b"/does/not/exist") is None
