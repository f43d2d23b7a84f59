"""The index of names: as complete as the directory, in whatever state its file is."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from fileservice.storage.local.directory_changes import DirectoryChanges
from fileservice.storage.local.index import NameIndex, Watch
from tests.storage.store_contract import names, publish

NAMES = sorted(
    {
        bytes(generator.choices(alphabet, k=length)).lstrip(b".") or b"x"
        for generator in [random.Random(8)]
        for alphabet in (b"ab", b"a\x01~", bytes(range(0x30, 0x7F)), bytes(range(0x80, 0x100)))
        for length in (1, 2, 3, 5, 8, 254, 255)
        for _ in range(60)
    }
)
"""Short and very long names, many with a common prefix, some with bytes less than a newline."""
SOME_NAMES = NAMES[::10]
RUNS = [1, 7, 100, len(NAMES), 50_000]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all NAMES."""
    return fill(tmp_path_factory.mktemp("crowded"), NAMES)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with some of the NAMES."""
    return fill(tmp_path_factory.mktemp("sparse"), SOME_NAMES)


def fill(root: Path, raw_names: list[bytes]) -> Path:
    """Create empty files, and a directory for the index."""
    (root / ".index").mkdir(parents=True)
    for name in raw_names:
        (root / os.fsdecode(name)).touch()
    return root


def index_of(
    root: Path, run: int = 50_000, scratch: str = ".index", watch: Watch = DirectoryChanges.watch
) -> NameIndex:
    """The index of the names in `root`, in its directory `scratch`."""
    own = bytes(root / scratch)
    return NameIndex(bytes(root), own + b"/names", own, run=run, watch=watch)


def not_watched(_directory: bytes) -> None:
    """As where the kernel cannot say what changes."""


def lines(stored: bytes) -> bytes:
    """What follows the header, which has the time of writing."""
    return stored.partition(b"\n")[2]


def make_old(directory: Path) -> None:
    """Make the directory's last change old enough for its index to be stored."""
    os.utime(directory, (0, 1_000_000_000))


def stop_clock_at_last_change(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Let the last change of the directory stay a moment ago, not for 50 ms only."""
    now = directory.stat().st_mtime_ns + 1
    monkeypatch.setattr("time.time_ns", lambda: now)


@settings(max_examples=200)
@given(
    start=st.sampled_from(NAMES)
    | st.binary(max_size=4)
    | st.builds(bytes.__add__, st.sampled_from(NAMES), st.binary(max_size=2))
    | st.builds(lambda name, n: name[:n], st.sampled_from(NAMES), st.integers(0))
)
def test_names_from_any_start_are_found_by_bisection(crowded: Path, start: bytes) -> None:
    make_old(crowded)

    assert list(index_of(crowded).names(start)) == [name for name in NAMES if name >= start]


@pytest.mark.parametrize("run", RUNS)
def test_order_does_not_depend_on_the_number_of_sorted_runs(
    crowded: Path, sparse: Path, run: int
) -> None:
    root, expected = (crowded, NAMES) if run > 1 else (sparse, SOME_NAMES)
    (root / ".index" / "names").unlink(missing_ok=True)

    assert list(index_of(root, run).names(b"")) == expected
    assert {path.name for path in (root / ".index").iterdir()} <= {"names"}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    "start",
    [b"aab", *(pytest.param(one, marks=pytest.mark.thorough) for one in (b"", b"~", b"\xff"))],
)
def test_names_are_the_same_if_no_index_can_be_written(
    crowded: Path, sparse: Path, run: int, start: bytes
) -> None:
    root, names = (crowded, NAMES) if run > 1 else (sparse, SOME_NAMES)
    index = index_of(root, run, scratch=".missing")

    assert list(index.names(start)) == [name for name in names if name >= start]


def test_stored_index_is_used_until_the_directory_changes(
    store: LocalStore, directory: Path
) -> None:
    stored = directory / ".fileservice" / "names"
    publish(store, "a.txt")
    make_old(directory)

    assert names(store) == ["a.txt"]
    first = stored.stat().st_ino
    assert names(store) == ["a.txt"]
    assert stored.stat().st_ino == first

    publish(store, "b.txt")
    assert names(store) == ["a.txt", "b.txt"]
    os.utime(directory, (0, 1_000_000_001))
    store.delete(FileName.parse("a.txt"))
    assert names(store) == ["b.txt"]


@pytest.mark.parametrize("modified", [None, 4_000_000_000], ids=["now", "in the future"])
def test_index_is_not_used_by_others_if_the_last_change_was_a_moment_ago_or_is_in_the_future(
    sparse: Path, modified: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later change within the same tick of the clock would not show."""
    os.utime(sparse, None if modified is None else (0, modified))
    if modified is None:
        stop_clock_at_last_change(monkeypatch, sparse)
    assert list(index_of(sparse).names(b"")) == SOME_NAMES
    first = (sparse / ".index" / "names").stat()

    assert list(index_of(sparse).names(b"")) == SOME_NAMES
    second = (sparse / ".index" / "names").stat()
    assert (first.st_ino, first.st_mtime_ns) != (second.st_ino, second.st_mtime_ns)


def test_index_is_not_stored_if_changes_are_not_watched_and_may_not_show_in_the_time(
    sparse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = sparse / ".index" / "names"
    stored.unlink(missing_ok=True)
    os.utime(sparse)
    stop_clock_at_last_change(monkeypatch, sparse)

    assert list(index_of(sparse, watch=not_watched).names(b"")) == SOME_NAMES
    assert not stored.exists()


NUMBERED = [b"%04d.txt" % number for number in range(1000)]


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the names NUMBERED."""
    return fill(tmp_path_factory.mktemp("numbered"), NUMBERED)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"1 2\nno.txt\n", b"\n\n", b"\xff" * 99])
def test_file_that_is_not_an_index_is_replaced(
    store: LocalStore, directory: Path, content: bytes
) -> None:
    (directory / ".fileservice" / "names").write_bytes(content)
    publish(store, "a.txt")

    assert names(store) == ["a.txt"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: bytes(len(data)),
        lambda data: data[: len(data) // 2],
        lambda data: data[: data.index(b"\n") + 1],
        lambda data: data[: data.index(b"\n") + 1] + bytes(len(data)),
        lambda data: data[:-4096] + bytes(4096),
        lambda data: data[:-1] + b"x",
        lambda data: data + b"added.txt\n",
        lambda data: data.replace(b"0500.txt\n", b"\n05000txt"),
        lambda data: data.replace(b"0500.txt\n", b""),
    ],
    ids="empty zeros half no-lines lines-of-zeros zeros-at-the-end last-byte longer moved "
    "one-less".split(),
)
def test_damaged_index_is_rebuilt(numbered: Path, damage: Callable[[bytes], bytes]) -> None:
    """A power failure can damage it, since it is not synced."""
    expected, root = NUMBERED, numbered
    make_old(root)
    assert list(index_of(root).names(b"")) == expected
    stored = root / ".index" / "names"
    data = stored.read_bytes()
    assert damage(data) != data

    stored.write_bytes(damage(data))

    assert list(index_of(root).names(b"0990")) == expected[990:]
    stored.write_bytes(damage(data))
    assert list(index_of(root).names(b"")) == expected
    assert lines(stored.read_bytes()) == lines(data)


def test_damage_is_detected_by_a_process_that_used_the_index_before(crowded: Path) -> None:
    root = crowded
    make_old(root)
    used = index_of(root)
    for _ in range(2):
        assert list(used.names(b"")) == NAMES
    stored = root / ".index" / "names"

    stored.write_bytes(stored.read_bytes()[:-5000] + bytes(5000))

    assert list(used.names(b"")) == NAMES
