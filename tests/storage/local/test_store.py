"""LocalStore: the contract of every store, and what is particular to a directory."""

import contextlib
import errno
import hashlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileservice.names import FileName
from fileservice.storage import (
    Busy,
    Content,
    NotFound,
    StorageFull,
    StorageUnavailable,
    open_store,
    verify_store,
)
from fileservice.storage.local import LocalStore, index, staging
from fileservice.storage.local.index import NameIndex
from tests.storage.store_contract import StoreContract, content_of, names, publish, read
from tests.support.requirements import require

ROOT = Path(__file__).parents[3]
NAME = FileName.parse("a.txt")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path) -> LocalStore:
    return LocalStore(directory, fsync=True)


@pytest.fixture
def another_store(store: LocalStore, directory: Path) -> LocalStore:
    return LocalStore(directory, fsync=False)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a file system of its own: `mount("tmpfs", "size=1m")`. Only root can."""
    if os.geteuid() != 0:
        require("only root can mount file systems")
    mounted: list[Path] = []

    def make(kind: str, options: str = "defaults") -> Path:
        place = tmp_path / f"mounted-{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", kind, "-o", options, kind, str(place)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            require(f"no {kind} can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


def remount(place: Path, *options: str) -> None:
    """Change the options of a mounted file system, such as `ro`."""
    command = ["mount", "-o", ",".join(["remount", *options]), str(place)]
    subprocess.run(command, check=True)


def told_at_the_start(directory: Path) -> list[str]:
    """What the operator is told when a service starts on this directory."""
    return [line for _, line in verify_store(str(directory), fsync=True).messages]


def staged(directory: Path) -> list[Path]:
    return list((directory / ".fileservice" / "staging").iterdir())


def attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


class Child:
    """A process of its own that runs `code`; it does not go on until `go`."""

    _BEGIN = "import sys; from pathlib import Path; from fileservice.storage import *\n"

    def __init__(self, code: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self._BEGIN + code, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def ready(self) -> None:
        """Wait for the child to say so (print and flush a line)."""
        assert self.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Let it go on (it reads a line)."""
        self.stdin.write("\n")
        self.stdin.flush()

    def output(self) -> str:
        """What it prints to its end."""
        output = self.stdout.read()
        assert self.process.wait(60) == 0
        return output

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self.stdin.close()
        self.stdout.close()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    with contextlib.ExitStack() as children:

        def start(code: str, *arguments: object) -> Child:
            started = Child(code, *arguments)
            children.callback(started.kill)
            return started

        yield start


class TestContract(StoreContract):
    """On whatever file system the temporary directory is."""


class TestContractInMemory(StoreContract):
    """On tmpfs, where directories have other times and orders than on ext4."""

    @pytest.fixture
    def directory(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
            yield Path(path) / "store"


class TestAttributes:
    def test_the_digest_is_kept_as_cshatag_keeps_it(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, NAME, b"data")

        modified = (directory / NAME).stat().st_mtime_ns
        expected = f"{modified // 10**9}.{modified % 10**9:09}"
        assert attribute(directory / NAME, "user.shatag.ts") == expected.encode()
        assert attribute(directory / NAME, "user.shatag.sha256") == (
            hashlib.sha256(b"data").hexdigest().encode()
        )

    def test_the_type_is_kept_as_freedesktop_keeps_it(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, NAME, b"data", content_of(b"data", "text/plain", "utf-8"))
        publish(store, "b.pdf", b"data", content_of(b"data", "application/pdf"))

        assert attribute(directory / NAME, "user.mime_type") == b"text/plain"
        assert attribute(directory / NAME, "user.charset") == b"utf-8"
        assert attribute(directory / "b.pdf", "user.charset") is None

    def test_no_digest_is_kept_where_none_was_computed(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, NAME, b"data", Content("text/plain"))

        assert attribute(directory / NAME, "user.shatag.sha256") is None
        assert attribute(directory / NAME, "user.shatag.ts") is None

    def test_a_digest_that_cshatag_wrote_is_believed(
        self, store: LocalStore, directory: Path
    ) -> None:
        path = directory / NAME
        path.write_bytes(b"data")
        os.utime(path, ns=(0, 1_700_000_000_000_000_007))
        os.setxattr(path, "user.shatag.ts", b"1700000000.000000007")
        os.setxattr(path, "user.shatag.sha256", hashlib.sha256(b"data").hexdigest().encode())

        assert store.stat(NAME).content.sha256 == hashlib.sha256(b"data").digest()

    def test_a_digest_is_stale_as_soon_as_the_file_was_modified(
        self, store: LocalStore, directory: Path
    ) -> None:
        published = publish(store, NAME, b"data")

        os.utime(directory / NAME, ns=(0, published.modified_ns + 1))

        described = store.stat(NAME)
        assert described.content.sha256 is None
        assert described.version != published.version
        assert described.content.media_type == "text/plain"

    def test_a_changed_file_has_another_version(self, store: LocalStore, directory: Path) -> None:
        published = publish(store, NAME, b"data")

        (directory / NAME).write_bytes(b"atad")
        os.utime(directory / NAME, ns=(0, published.modified_ns + 1))

        with pytest.raises(NotFound):
            store.delete(NAME, published.version)
        assert store.stat(NAME).version != published.version

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("user.mime_type", b"text/html\r\nSet-Cookie: a=b"),
            ("user.mime_type", b"nonsense"),
            ("user.mime_type", b""),
            ("user.mime_type", b"\xff/\xff"),
            ("user.mime_type", b"a/" + b"b" * 2000),
            ("user.charset", b'utf-8"; x="'),
            ("user.shatag.sha256", b"abc"),
            ("user.shatag.sha256", b"Z" * 64),
            ("user.shatag.ts", b"yesterday"),
        ],
    )
    def test_what_others_wrote_into_the_attributes_is_never_passed_on(
        self, store: LocalStore, directory: Path, name: str, value: bytes
    ) -> None:
        publish(store, NAME, b"data", content_of(b"data", "text/plain", "utf-8"))

        os.setxattr(directory / NAME, name, value)

        content = store.stat(NAME).content
        assert content.media_type == "text/plain"
        assert content.charset in ("utf-8", None)
        assert content.sha256 in (hashlib.sha256(b"data").digest(), None)


class TestFilesOfOtherMeans:
    def test_a_file_put_into_the_directory_is_served(
        self, store: LocalStore, directory: Path
    ) -> None:
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
    def test_what_is_no_regular_file_is_not_served_but_has_its_name(
        self, store: LocalStore, directory: Path, kind: str
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
        for ask in (store.open, store.stat, store.delete):
            with pytest.raises(NotFound):
                ask(NAME)
        assert store.is_taken(NAME)
        assert os.path.lexists(path)
        assert target.read_bytes() == b"secret"

    def test_names_that_cannot_be_asked_for_are_not_listed(
        self, store: LocalStore, directory: Path
    ) -> None:
        for raw in (b".hidden", b"caf\xe9.txt", b"cafe\xcc\x81.txt", b"a\nb.txt", b"a\\b", b"CON"):
            (directory / os.fsdecode(raw)).write_bytes(b"")
        publish(store, NAME)

        assert names(store) == [NAME]

    def test_a_file_that_may_not_be_read_does_not_hide_the_others(
        self, child: Callable[..., Child]
    ) -> None:
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
        with tempfile.TemporaryDirectory() as place:
            Path(place).chmod(0o755)
            listed = child(code, Path(place) / "store").output().split()

        assert {"a.txt", "c.txt"} <= set(listed)

    def test_the_list_is_right_after_a_file_came_by_other_means(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, "b.txt")
        assert names(store) == ["b.txt"]

        (directory / "c.txt").write_bytes(b"")
        (directory / "a.txt").write_bytes(b"")
        assert names(store) == ["a.txt", "b.txt", "c.txt"]

        (directory / "b.txt").rename(directory / "d.txt")
        assert names(store) == ["a.txt", "c.txt", "d.txt"]


class TestWithoutAttributes:
    """On ramfs, which knows no extended attributes."""

    @pytest.fixture
    def directory(self, mount: Callable[..., Path]) -> Path:
        place = mount("ramfs")
        probe = place / "probe"
        probe.touch()
        with pytest.raises(OSError, match="not supported"):
            os.setxattr(probe, "user.probe", b"")
        probe.unlink()
        return place / "store"

    def test_the_lack_is_told_at_the_start(self, directory: Path) -> None:
        [told] = [line for line in told_at_the_start(directory) if "extended attributes" in line]

        assert str(directory) in told
        assert "409" in told

    def test_everything_works_only_without_stored_digests(self, store: LocalStore) -> None:
        published = publish(store, "b.pdf", b"data", content_of(b"data", "application/pdf"))

        described = store.stat(published.name)
        assert described.content == Content("application/pdf")
        assert described.version == published.version
        assert list(store.list()) == [described]
        assert read(store, "b.pdf") == b"data"
        store.delete(published.name, published.version)
        assert names(store) == []


class TestStaging:
    WRITE = """
store = open_store(sys.argv[1], fsync=False)
writer = store.writer()
writer.write(b"in the making")
print("ready", flush=True)
sys.stdin.readline()
"""

    def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(
        self, store: LocalStore, directory: Path, child: Callable[..., Child]
    ) -> None:
        living, dead = child(self.WRITE, directory), child(self.WRITE, directory)
        living.ready()
        dead.ready()
        assert len(staged(directory)) == 2

        dead.kill()
        store.sweep()
        assert len(staged(directory)) == 1
        store.sweep()
        assert len(staged(directory)) == 1

        living.kill()
        store.sweep()
        assert staged(directory) == []

    def test_a_new_start_sweeps(self, directory: Path, child: Callable[..., Child]) -> None:
        writer = child(self.WRITE, directory)
        writer.ready()
        writer.kill()
        assert staged(directory)

        open_store(str(directory), fsync=False)

        assert staged(directory) == []

    def test_a_crash_between_publishing_and_closing_leaves_the_file(
        self, store: LocalStore, directory: Path, child: Callable[..., Child]
    ) -> None:
        code = self.WRITE.replace(
            "print(",
            "from fileservice.names import FileName\n"
            "writer.publish(FileName.parse('a.txt'), Content('text/plain'))\n"
            "print(",
        )
        writer = child(code, directory)
        writer.ready()
        writer.kill()

        store.sweep()

        assert staged(directory) == []
        assert read(store, NAME) == b"in the making"

    def test_an_abandoned_writer_leaves_nothing(self, store: LocalStore, directory: Path) -> None:
        writer = store.writer()
        writer.write(b"data")
        assert len(staged(directory)) == 1
        writer.close()
        assert staged(directory) == []

    def test_a_file_is_published_though_its_staged_name_cannot_be_removed(
        self, store: LocalStore, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = store.writer()
        writer.write(b"published")
        writer.publish(NAME, content_of(b"published"))

        def broken(path: bytes) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", broken)
            writer.close()
        assert (directory / NAME).read_bytes() == b"published"
        store.sweep()
        assert not list((directory / ".fileservice/staging").iterdir())
        assert (directory / NAME).read_bytes() == b"published"

    def test_a_published_file_leaves_nothing_staged(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, NAME)

        assert staged(directory) == []
        assert (directory / NAME).stat().st_nlink == 1


class TestProcesses:
    COUNT = 8

    def run(self, child: Callable[..., Child], code: str, *arguments: object) -> list[str]:
        """Run `code` in several processes that go on at one moment; what each printed."""
        begin = "print('ready', flush=True); sys.stdin.readline()\n"
        children = [child(begin + code, *arguments, number) for number in range(self.COUNT)]
        for started in children:
            started.ready()
        for started in children:
            started.go()
        return [started.output().strip() for started in children]

    def test_many_can_start_on_one_directory_at_once(
        self, directory: Path, child: Callable[..., Child]
    ) -> None:
        """As the workers of one server do."""
        code = """
for _ in range(200):
    try:
        open_store(sys.argv[1], fsync=False)
    except StorageUnavailable as error:
        print(error)
        break
"""
        assert self.run(child, code, directory) == [""] * self.COUNT
        assert staged(directory) == []

    def test_of_many_that_publish_one_name_one_wins(
        self, store: LocalStore, directory: Path, child: Callable[..., Child]
    ) -> None:
        code = """
from fileservice.names import FileName
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
        won = self.run(child, code, directory)

        for number in range(50):
            [winner] = [n for n, printed in enumerate(won) if str(number) in printed.split()]
            assert read(store, f"{number}.txt") == b"%d" % winner * 5000
        assert staged(directory) == []

    def test_lists_are_right_while_others_publish_and_delete(
        self, store: LocalStore, directory: Path, child: Callable[..., Child]
    ) -> None:
        code = """
from fileservice.names import FileName
store = open_store(sys.argv[1], fsync=False)
own = FileName.parse(f"m-own-{sys.argv[2]}.txt")
for _ in range(30):
    writer = store.writer()
    try:
        writer.publish(own, Content("text/plain"))
    finally:
        writer.close()
    seen = [file.name for file in store.list()]
    if own not in seen or seen != sorted(set(seen)):
        print("wrong", seen)
    if [name for name in seen if "stays" in name] != [f"{n:03}-stays.txt" for n in range(100)]:
        print("lost", seen)
    store.delete(own)
    if own in [file.name for file in store.list(prefix="m-")]:
        print("undead")
"""
        for number in range(100):
            publish(store, f"{number:03}-stays.txt")

        assert self.run(child, code, directory) == [""] * self.COUNT


class TestIdentity:
    def test_a_store_keeps_the_identity_that_it_got_at_its_first_start(
        self, directory: Path
    ) -> None:
        first = verify_store(str(directory), fsync=True)
        again = verify_store(str(directory), fsync=True)

        assert first.identity == again.identity
        assert (directory / ".fileservice/identity").read_text() == f"{first.identity}\n"
        assert any(str(first.identity) in line for _, line in first.messages)
        assert again.messages == ()

    def test_two_stores_have_two(self, tmp_path: Path) -> None:
        identities = {
            verify_store(str(tmp_path / name), fsync=True).identity for name in ("one", "two")
        }
        assert len(identities) == 2

    def test_many_that_start_at_once_agree(
        self, directory: Path, child: Callable[..., Child]
    ) -> None:
        code = "print(verify_store(sys.argv[1], fsync=True).identity)"
        [_] = set(TestProcesses().run(child, code, directory))

    @pytest.mark.parametrize("marker", [b"", b"\0" * 33, b"0" * 32 + b"\n", None])
    def test_a_store_whose_marker_is_another_or_gone_takes_nothing_and_lists_nothing(
        self, store: LocalStore, directory: Path, marker: bytes | None
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
        assert read(store, NAME) == b"data"  # who finds a file does not look at the marker

    def test_an_unfinished_upload_gets_no_record_in_another_store(
        self, store: LocalStore, directory: Path
    ) -> None:
        writer = store.locker.lock(store.uploads.create(b"record", 1))
        (directory / ".fileservice/identity").write_bytes(b"0" * 32 + b"\n")

        with contextlib.closing(writer), pytest.raises(StorageUnavailable, match="not the one"):
            writer.update(b"another record")

    def test_who_is_not_to_prove_the_store_makes_nothing_before_something_is_written(
        self, directory: Path
    ) -> None:
        directory.mkdir()
        store = LocalStore(directory, fsync=True, verified=True)
        assert names(store) == []
        assert list(directory.iterdir()) == []

        publish(store, NAME)

        assert names(store) == [NAME]
        assert (directory / ".fileservice/identity").exists()

    def test_a_store_that_must_have_an_identity_is_not_made(self, directory: Path) -> None:
        directory.mkdir()
        store = LocalStore(directory, fsync=True, verified=True, identity="0" * 32)

        with pytest.raises(StorageUnavailable):
            store.writer()
        with pytest.raises(StorageUnavailable):
            verify_store(str(directory), fsync=True, identity="0" * 32)
        assert list(directory.iterdir()) == []

    def test_what_another_version_did_not_make_is_made_before_it_is_needed(
        self, directory: Path
    ) -> None:
        LocalStore(directory, fsync=True)
        (directory / ".fileservice/release-requests").rmdir()

        another = LocalStore(directory, fsync=True, verified=True)
        another.writer().close()

        assert another.locker.release_requests() == []


NAMES_FOR_BISECTION = sorted(
    {
        bytes(generator.choices(alphabet, k=length)).lstrip(b".") or b"x"
        for generator in [random.Random(8)]
        for alphabet in (b"ab", b"a\x01~", bytes(range(0x30, 0x7F)), bytes(range(0x80, 0x100)))
        for length in (1, 2, 3, 5, 8, 254, 255)
        for _ in range(60)
    }
)
"""Short and longest ones, many with a common beginning, some with bytes below the line's end."""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all those names."""
    return fill(tmp_path_factory.mktemp("crowded"), NAMES_FOR_BISECTION)


def fill(root: Path, raw_names: list[bytes]) -> Path:
    """Make empty files, and a place for an index beside them."""
    (root / ".index").mkdir(parents=True)
    for name in raw_names:
        (root / os.fsdecode(name)).touch()
    return root


def index_of(root: Path) -> NameIndex:
    scratch = root / ".index"
    return NameIndex(bytes(root), bytes(scratch / "names"), bytes(scratch))


class TestIndex:
    @settings(max_examples=200)
    @given(
        start=st.sampled_from(NAMES_FOR_BISECTION)
        | st.binary(max_size=4)
        | st.builds(bytes.__add__, st.sampled_from(NAMES_FOR_BISECTION), st.binary(max_size=2))
        | st.builds(lambda name, n: name[:n], st.sampled_from(NAMES_FOR_BISECTION), st.integers(0))
    )
    def test_the_names_from_any_text_on_are_found(self, crowded: Path, start: bytes) -> None:
        os.utime(crowded, (0, 1_000_000_000))  # so that the index is kept, and bisected again

        found = list(index_of(crowded).names(start))

        assert found == [name for name in NAMES_FOR_BISECTION if name >= start]

    @pytest.mark.parametrize("run", [1, 7, 100, len(NAMES_FOR_BISECTION), 50_000])
    def test_the_order_is_the_same_in_however_many_runs_the_names_are_sorted(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, run: int
    ) -> None:
        some = NAMES_FOR_BISECTION if run > 1 else NAMES_FOR_BISECTION[::10]
        monkeypatch.setattr(index, "_RUN", run)
        root = fill(directory, some)

        assert list(index_of(root).names(b"")) == some
        assert {path.name for path in (root / ".index").iterdir()} <= {"names"}

    def test_a_kept_index_is_used_again_until_the_directory_changes(
        self, store: LocalStore, directory: Path
    ) -> None:
        kept = directory / ".fileservice" / "names"
        publish(store, "a.txt")
        os.utime(directory, (0, 1_000_000_000))  # long ago

        assert names(store) == ["a.txt"]
        first = kept.stat().st_ino
        assert names(store) == ["a.txt"]
        assert kept.stat().st_ino == first

        publish(store, "b.txt")
        assert names(store) == ["a.txt", "b.txt"]
        os.utime(directory, (0, 1_000_000_001))
        store.delete(FileName.parse("a.txt"))
        assert names(store) == ["b.txt"]

    def test_an_index_is_not_kept_for_a_directory_that_has_just_changed(
        self, store: LocalStore, directory: Path
    ) -> None:
        """Nor for one whose time lies ahead: a change within the same tick leaves no trace."""
        publish(store, "a.txt")
        os.utime(directory, (0, 4_000_000_000))

        assert names(store) == ["a.txt"]
        assert not (directory / ".fileservice" / "names").exists()

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"1 2\nno.txt\n", b"\n\n", b"\xff" * 99])
    def test_an_index_that_is_none_is_made_anew(
        self, store: LocalStore, directory: Path, content: bytes
    ) -> None:
        (directory / ".fileservice" / "names").write_bytes(content)
        publish(store, "a.txt")

        assert names(store) == ["a.txt"]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda _: b"",
            lambda whole: bytes(len(whole)),
            lambda whole: whole[: len(whole) // 2],
            lambda whole: whole[: whole.index(b"\n") + 1],
            lambda whole: whole[: whole.index(b"\n") + 1] + bytes(len(whole)),
            lambda whole: whole[:-4096] + bytes(4096),
            lambda whole: whole[:-1] + b"x",
            lambda whole: whole + b"added.txt\n",
            lambda whole: whole.replace(b"0500.txt\n", b"\n05000txt"),
            lambda whole: whole.replace(b"0500.txt\n", b""),
        ],
        ids="empty zeros half no-lines lines-of-zeros zeros-at-the-end last-byte longer moved "
        "one-less".split(),
    )
    def test_an_index_that_was_damaged_is_made_anew(
        self, directory: Path, damage: Callable[[bytes], bytes]
    ) -> None:
        """As a power cut can leave it, since it is not synced."""
        expected = [b"%04d.txt" % number for number in range(1000)]
        root = fill(directory, expected)
        os.utime(root, (0, 1_000_000_000))  # long ago, so that the index is kept
        assert list(index_of(root).names(b"")) == expected
        kept = root / ".index" / "names"
        whole = kept.read_bytes()
        assert damage(whole) != whole

        kept.write_bytes(damage(whole))

        assert list(index_of(root).names(b"0990")) == expected[990:]
        kept.write_bytes(damage(whole))
        assert list(index_of(root).names(b"")) == expected
        assert kept.read_bytes() == whole

    def test_damage_is_found_by_a_process_that_has_used_the_index_before(
        self, directory: Path
    ) -> None:
        root = fill(directory, NAMES_FOR_BISECTION)
        os.utime(root, (0, 1_000_000_000))
        used = index_of(root)
        for _ in range(2):
            assert list(used.names(b"")) == NAMES_FOR_BISECTION
        kept = root / ".index" / "names"

        kept.write_bytes(kept.read_bytes()[:-5000] + bytes(5000))

        assert list(used.names(b"")) == NAMES_FOR_BISECTION

    @pytest.mark.parametrize("run", [1, 7, 100, len(NAMES_FOR_BISECTION), 50_000])
    @pytest.mark.parametrize("start", [b"", b"aab", b"~", b"\xff"])
    def test_without_a_place_for_an_index_the_names_are_the_same(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, run: int, start: bytes
    ) -> None:
        some = NAMES_FOR_BISECTION if run > 1 else NAMES_FOR_BISECTION[::10]
        monkeypatch.setattr(index, "_RUN", run)
        root = fill(directory, some)
        (root / ".index").rmdir()

        assert list(index_of(root).names(start)) == [name for name in some if name >= start]

    def test_listing_leaves_nothing_staged(self, store: LocalStore, directory: Path) -> None:
        publish(store, "a.txt")
        next(store.list())
        names(store)

        assert staged(directory) == []


class TestTrouble:
    @pytest.fixture
    def tiny(self, mount: Callable[..., Path]) -> LocalStore:
        return LocalStore(mount("tmpfs", "size=1m,nr_inodes=20") / "store", fsync=True)

    def test_a_full_disk_is_told_and_nothing_is_left(self, tiny: LocalStore) -> None:
        before = tiny.free_space()

        with pytest.raises(StorageFull):
            publish(tiny, NAME, bytes(2 << 20))

        assert tiny.free_space() == before
        publish(tiny, NAME, b"there is room again")
        assert names(tiny) == [NAME]

    def test_a_disk_that_fills_up_between_two_blocks_is_told(self, tiny: LocalStore) -> None:
        writer = tiny.writer()
        try:
            writer.write(bytes(900_000))
            with pytest.raises(StorageFull):
                writer.write(bytes(900_000))
        finally:
            writer.close()

        assert names(tiny) == []

    def test_a_disk_without_inodes_is_full(self, tiny: LocalStore) -> None:
        with contextlib.ExitStack() as opened, pytest.raises(StorageFull):
            self.open_writers(tiny, opened)

        publish(tiny, NAME)

    def test_a_disk_without_inodes_still_lists_and_deletes(self, tiny: LocalStore) -> None:
        publish(tiny, NAME)
        with contextlib.ExitStack() as opened:
            with pytest.raises(StorageFull):
                self.open_writers(tiny, opened)

            assert names(tiny) == [NAME]
            tiny.delete(NAME)
            assert names(tiny) == []

    def test_a_disk_without_room_still_lists_and_deletes(self, tiny: LocalStore) -> None:
        publish(tiny, NAME)
        root = Path(os.fsdecode(tiny._layout.root))
        with contextlib.suppress(OSError):
            (root / "filler").write_bytes(bytes(2 << 20))
        assert tiny.free_space() == 0

        assert names(tiny) == [NAME, "filler"]
        assert names(tiny) == [NAME, "filler"]
        tiny.delete(NAME)
        assert names(tiny) == ["filler"]

    def test_a_disk_without_room_still_lets_an_upload_end_and_gives_back_what_it_held(
        self, tiny: LocalStore
    ) -> None:
        upload = tiny.uploads.create(b'{"gone": null}', 400_000)
        root = Path(os.fsdecode(tiny._layout.root))
        with contextlib.suppress(OSError), (root / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        assert tiny.free_space() == 0

        with contextlib.closing(tiny.locker.lock(upload)) as writer:
            writer.end(b'{"gone": "it has expired"}')
        assert tiny.uploads.read(upload).record.strip() == b'{"gone": "it has expired"}'
        assert (tiny.free_space() or 0) >= 400_000

    def test_a_look_at_a_disk_that_removes_nothing_keeps_no_descriptor(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: bytes) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        before = len(list(Path("/proc/self/fd").iterdir()))
        monkeypatch.setattr(os, "unlink", fail)
        for _ in range(5):
            with pytest.raises(StorageUnavailable):
                store.check()
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_a_read_only_disk_lists_and_says_that_it_cannot_delete(
        self, mount: Callable[..., Path]
    ) -> None:
        place = mount("tmpfs", "size=1m")
        store = LocalStore(place / "store", fsync=True)
        publish(store, NAME)
        remount(place, "ro")

        for _ in range(2):
            assert names(store) == [NAME]
        with pytest.raises(StorageUnavailable, match="read-only"):
            store.delete(NAME)
        with pytest.raises(StorageUnavailable, match="read-only"):
            store.writer()
        remount(place, "rw")
        store.delete(NAME)
        assert names(store) == []

    @staticmethod
    def open_writers(store: LocalStore, opened: contextlib.ExitStack) -> None:
        while True:
            opened.callback(store.writer().close)

    def test_the_free_space_is_that_of_the_file_system(self, tiny: LocalStore) -> None:
        before = tiny.free_space()
        publish(tiny, NAME, bytes(500_000))
        after = tiny.free_space()

        assert before is not None
        assert after is not None
        assert before <= 1 << 20
        assert 500_000 <= before - after <= 520_000

    def test_a_process_without_descriptors_is_busy(self, store: LocalStore) -> None:
        publish(store, NAME)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            for call in (store.writer, lambda: store.open(NAME), lambda: store.stat(NAME)):
                with pytest.raises(Busy):
                    call()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

        assert read(store, NAME) == b"data"

    def test_a_root_that_is_gone_is_a_fault_and_not_an_empty_store(
        self, store: LocalStore, directory: Path
    ) -> None:
        publish(store, NAME)
        directory.rename(directory.with_name("elsewhere"))

        for call in (
            store.writer,
            lambda: store.open(NAME),
            lambda: store.stat(NAME),
            lambda: store.delete(NAME),
            lambda: names(store),
            store.free_space,
            store.sweep,
        ):
            with pytest.raises(StorageUnavailable):
                call()

    def test_a_file_system_without_hard_links_is_refused_at_the_start(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def link(*_: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", link)

        with pytest.raises(StorageUnavailable, match="no hard links"):
            verify_store(str(directory), fsync=True)
        assert staged(directory) == []

    @pytest.mark.parametrize("reason", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
    def test_what_may_pass_by_itself_is_told_at_the_start_and_does_not_prevent_it(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, reason: int
    ) -> None:
        def create(*_: object) -> None:
            raise OSError(reason, os.strerror(reason))

        monkeypatch.setattr(staging, "create", create)

        [line] = told_at_the_start(directory)

        assert f"{directory} cannot be written to at present ({os.strerror(reason)})" in line

    def test_a_place_that_cannot_be_a_store_is_refused_at_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/store")):
            with pytest.raises(StorageUnavailable):
                open_store(str(place), fsync=True)
