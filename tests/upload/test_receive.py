"""receive(): a complete file is published, or nothing of it is stored."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor, ThreadExecutor
from fileservice.names import FileName
from fileservice.storage import Content, NameTaken, StagedFile, StorageFull, StoredFile
from fileservice.storage.local import LocalStore
from fileservice.storage.local.writer import LocalWriter
from fileservice.upload import (
    ContentMismatch,
    DigestMismatch,
    ExtensionNotAllowed,
    NoExtension,
    PreconditionNotMet,
    TooLarge,
    UploadContext,
    UploadPolicy,
    UploadRequest,
    UploadResult,
    pipeline,
    receive,
)
from fileservice.upload.inspection import inspector
from tests.support.rows import every_row
from tests.upload.inspection.support import SAMPLES

TEXT = b"a line of text\n" * 1000
OTHER = b"another text\n"
NAME = FileName.parse("note.txt")
MIB = 1 << 20
BITMAP = (Path(__file__).parents[1] / "samples" / "img.bmp").read_bytes()


class ConnectionCut(Exception):
    """The client closed the connection before the end of its body."""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def other_store(store: LocalStore, tmp_path: Path) -> LocalStore:
    """The same store in another process."""
    return LocalStore(tmp_path / "store", fsync=False)


class Directory:
    """What is in the directory of the store."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def published(self) -> set[str]:
        return {path.name for path in self._root.iterdir()} - {".fileservice"}

    def staged(self) -> set[str]:
        return {path.name for path in (self._root / ".fileservice" / "staging").iterdir()}

    def is_empty(self) -> bool:
        return not self.published() and not self.staged()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "store")


def policy(max_size: int = 1 << 30, min_free: int = 0, digest: bool = True) -> UploadPolicy:
    return UploadPolicy(
        types=filetypes.select(filetypes.DEFAULT_EXTENSIONS),
        max_size=max_size,
        min_free=min_free,
        digest=digest,
    )


def request(name: str = NAME, length: int | None = None, create_only: bool = False,
          **digests: bytes) -> UploadRequest:  # fmt: skip
    declared = {algorithm.replace("sha", "sha-"): value for algorithm, value in digests.items()}
    return UploadRequest(FileName.parse(name), length, digests=declared, create_only=create_only)


def upload(
    store: LocalStore,
    upload_request: UploadRequest,
    blocks: Iterable[bytes] = (TEXT,),
    upload_policy: UploadPolicy | None = None,
) -> UploadResult:
    context = UploadContext(store, upload_policy or policy(), InlineExecutor())
    return receive(upload_request, blocks, context)


def never_read() -> Iterator[bytes]:
    pytest.fail("the body was read")
    yield b""


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def content_of(store: LocalStore, name: str = NAME) -> bytes:
    with store.open(FileName.parse(name)).body as body:
        return body.read()


def publish(store: LocalStore, content: bytes) -> None:
    writer = store.writer()
    try:
        writer.write(content)
        writer.publish(NAME, Content("text/plain", "utf-8", sha256(content)))
    finally:
        writer.close()


class TestAccepted:
    @pytest.mark.parametrize("size", [1, 1000, 65536])
    def test_file_is_published_with_its_type_and_digest(
        self, store: LocalStore, directory: Directory, size: int
    ) -> None:
        blocks = [TEXT[offset : offset + size] for offset in range(0, len(TEXT), size)]

        result = upload(store, request(), blocks)

        assert result.created
        assert result.file.name == NAME
        assert result.file.size == len(TEXT)
        assert result.file.content == Content("text/plain", "utf-8", sha256(TEXT))
        assert content_of(store) == TEXT
        assert store.stat(NAME) == result.file
        assert not directory.staged()

    @pytest.mark.parametrize("blocks", [(), (b"",), (b"", b"", b"")])
    def test_empty_text_is_published(self, store: LocalStore, blocks: tuple[bytes, ...]) -> None:
        result = upload(store, request(length=0), blocks)

        assert result.file.size == 0
        assert result.file.content.sha256 == sha256(b"")

    def test_no_digest_is_stored_if_the_operator_wants_none(self, store: LocalStore) -> None:
        result = upload(store, request(), upload_policy=policy(digest=False))

        assert result.file.content.sha256 is None
        assert store.stat(NAME).content.sha256 is None

    def test_declared_digest_is_verified_even_if_none_is_stored(
        self, store: LocalStore, directory: Directory
    ) -> None:
        with pytest.raises(DigestMismatch):
            upload(store, request(sha256=sha256(OTHER)), upload_policy=policy(digest=False))
        assert directory.is_empty()

        result = upload(store, request(sha256=sha256(TEXT)), upload_policy=policy(digest=False))

        assert result.created
        assert result.file.content.sha256 is None

    def test_file_of_exactly_the_maximum_size_is_published(self, store: LocalStore) -> None:
        exact = policy(max_size=len(TEXT))

        assert upload(store, request("a.txt"), upload_policy=exact).file.size == len(TEXT)
        assert upload(store, request("b.txt", len(TEXT)), upload_policy=exact).file.size == len(
            TEXT
        )


class TestRefusedBeforeBody:
    @every_row(
        ("upload_request", "upload_policy", "error"),
        [
            (request("note"), policy(), NoExtension),
            (request("note.exe"), policy(), ExtensionNotAllowed),
            (request("note.svg"), policy(), ExtensionNotAllowed),
            (request(length=1001), policy(max_size=1000), TooLarge),
            (request(length=1), policy(min_free=1 << 60), StorageFull),
            (request(), policy(min_free=1 << 60), StorageFull),
            (request(length=1 << 60), policy(max_size=1 << 62), StorageFull),
        ],
    )
    def test_body_is_not_read_and_nothing_is_stored(
        self,
        store: LocalStore,
        directory: Directory,
        upload_request: UploadRequest,
        upload_policy: UploadPolicy,
        error: type[Exception],
    ) -> None:
        with pytest.raises(error):
            upload(store, upload_request, never_read(), upload_policy)

        assert directory.is_empty()

    @pytest.mark.parametrize(
        ("upload_request", "error"),
        [
            (request(), NameTaken),
            (request(create_only=True), PreconditionNotMet),
            (request(sha256=sha256(OTHER)), NameTaken),
            (request(sha256=sha256(OTHER), create_only=True), PreconditionNotMet),
        ],
    )
    def test_taken_name_is_refused_and_its_file_stays(
        self,
        store: LocalStore,
        directory: Directory,
        upload_request: UploadRequest,
        error: type[Exception],
    ) -> None:
        upload(store, request())

        with pytest.raises(error, match="already"):
            upload(store, upload_request, never_read())

        assert content_of(store) == TEXT
        assert not directory.staged()

    @pytest.mark.parametrize("create_only", [False, True])
    def test_repetition_with_its_digest_returns_the_stored_file(
        self, store: LocalStore, create_only: bool
    ) -> None:
        first = upload(store, request())

        again = upload(store, request(sha256=sha256(TEXT), create_only=create_only), never_read())

        assert not again.created
        assert again.file == first.file

    def test_repetition_is_acknowledged_only_once_the_name_is_durable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process that published the file may have died before it synced the directory."""
        store = LocalStore(tmp_path / "store", fsync=True)
        upload(store, request())
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))

        upload(store, request(sha256=sha256(TEXT)), never_read())

        assert synced == [(tmp_path / "store").stat().st_ino]

    def test_repetition_of_a_file_that_is_replaced_meanwhile_is_refused(
        self, store: LocalStore, other_store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replace_file() -> None:
            other_store.delete(NAME)
            publish(other_store, OTHER)

        upload(store, request())
        monkeypatch.setattr(store, "sync_names", replace_file)

        with pytest.raises(NameTaken):
            upload(store, request(sha256=sha256(TEXT)), never_read())

        assert content_of(store) == OTHER

    def test_file_is_refused_if_there_is_space_for_no_more_files(
        self, store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "free_files", lambda: 0)

        with pytest.raises(StorageFull, match="inodes"):
            upload(store, request(), never_read())

        assert directory.is_empty()

    def test_repetition_is_refused_if_no_digest_is_stored(self, store: LocalStore) -> None:
        upload(store, request(), upload_policy=policy(digest=False))

        with pytest.raises(NameTaken):
            upload(store, request(sha256=sha256(TEXT)), never_read(), policy(digest=False))

    @pytest.mark.parametrize("kind", ["directory", "dangling link", "link out"])
    def test_name_of_anything_but_a_file_is_taken(
        self, store: LocalStore, tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / "store" / NAME
        if kind == "directory":
            path.mkdir()
        else:
            path.symlink_to("/etc/passwd" if kind == "link out" else "nowhere")

        with pytest.raises(NameTaken):
            upload(store, request(sha256=sha256(TEXT)), never_read())


class TestNameOfExpiredFile:
    @pytest.fixture
    def expire(
        self, store: LocalStore, other_store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], None]:
        """Store a file that has expired; another process removes it when it is looked for."""
        find = store.expired.find

        def find_too_late(name: FileName) -> StoredFile:
            for file in other_store.expired.due():
                other_store.expired.remove(file)
            return find(name)

        monkeypatch.setattr(store.expired, "find", find_too_late)

        def expire() -> None:
            writer = other_store.writer()
            try:
                writer.publish(NAME, Content("text/plain"), expires=1)
            finally:
                writer.close()

        return expire

    def test_is_free_at_the_beginning_if_another_process_removes_the_file(
        self, store: LocalStore, expire: Callable[[], None]
    ) -> None:
        expire()

        assert upload(store, request()).created

    def test_is_free_at_the_end_if_another_process_removes_the_file(
        self, store: LocalStore, expire: Callable[[], None]
    ) -> None:
        def body() -> Iterator[bytes]:
            yield TEXT
            expire()

        assert upload(store, request(), body()).created
        assert content_of(store) == TEXT


class TestSpace:
    @pytest.fixture
    def reservations(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The sizes for which space is reserved, in order."""
        sizes: list[int] = []
        reserve_space = store.reserve_space

        def record(staged: StagedFile, size: int, **options: int) -> int | None:
            sizes.append(size)
            return reserve_space(staged, size, **options)

        monkeypatch.setattr(store, "reserve_space", record)
        return sizes

    def test_large_declared_length_is_reserved_once_and_before_the_body(
        self, store: LocalStore, reservations: list[int]
    ) -> None:
        def body() -> Iterator[bytes]:
            assert reservations == [4 * MIB]
            for _ in range(8):
                yield b"x" * (MIB // 2)

        upload(store, request(length=4 * MIB), body())

        assert reservations == [4 * MIB]

    def test_all_of_a_very_large_file_is_reserved_before_the_client_is_waited_for(
        self, store: LocalStore, tmp_path: Path
    ) -> None:
        def reserved() -> int:
            files = (tmp_path / "store").rglob("*")
            return max(path.stat().st_blocks * 512 for path in files if path.is_file())

        def body() -> Iterator[bytes]:
            assert 0 < reserved() < 40 * MIB
            yield b"x" * MIB
            yield b""  # nothing has arrived
            assert reserved() >= 40 * MIB
            for _ in range(39):
                yield b"x" * MIB

        context = UploadContext(store, policy(), ThreadExecutor())
        receive(request(length=40 * MIB), body(), context)
        assert store.stat(NAME).size == 40 * MIB

    def test_small_file_reserves_nothing(self, store: LocalStore, reservations: list[int]) -> None:
        upload(store, request(length=len(TEXT)))
        upload(store, request("other.txt"))

        assert reservations == []

    def test_undeclared_length_is_reserved_in_few_steps_and_what_is_not_used_is_released(
        self, store: LocalStore, reservations: list[int], tmp_path: Path
    ) -> None:
        upload(store, request(), [b"x" * (MIB // 8)] * 64)  # 8 MiB

        assert 1 < len(reservations) < 8
        assert store.stat(NAME).size == 8 * MIB
        assert (tmp_path / "store" / NAME).stat().st_blocks * 512 < 8 * MIB + MIB // 2

    def test_at_most_8_mib_are_reserved_for_bytes_that_may_never_come(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        reserve_space = store.reserve_space

        def record(staged: StagedFile, size: int, *, ahead: int, min_free: int) -> int | None:
            asked.append(ahead)
            return reserve_space(staged, size, ahead=ahead, min_free=min_free)

        monkeypatch.setattr(store, "reserve_space", record)
        block = b"x" * (4 * MIB)

        upload(store, request(), [block] * 10)  # 40 MiB

        assert asked == sorted(asked)
        assert asked[-1] == 8 * MIB

    @pytest.mark.parametrize(("free", "is_reserved"), [(8 << 30, False), ((8 << 30) - 1, True)])
    @pytest.mark.parametrize("min_free", [0, 1 << 30])
    def test_small_file_reserves_space_only_if_space_is_scarce(
        self,
        store: LocalStore,
        reservations: list[int],
        monkeypatch: pytest.MonkeyPatch,
        free: int,
        is_reserved: bool,
        min_free: int,
    ) -> None:
        monkeypatch.setattr(store, "free_space", lambda: min_free + free)

        upload(store, request(), [b"x" * 70_000], policy(min_free=min_free))

        assert bool(reservations) == is_reserved

    def test_length_that_other_uploads_left_no_space_for_is_refused_before_the_body(
        self, store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "free_space", lambda: 1 << 62)  # at the time of admission

        with pytest.raises(StorageFull):
            upload(store, request(length=1 << 60), never_read(), policy(max_size=1 << 61))

        assert directory.is_empty()

    def test_unreserved_bytes_that_left_too_little_space_are_refused_at_the_end(
        self, store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def body() -> Iterator[bytes]:
            yield TEXT
            monkeypatch.setattr(store, "free_space", lambda: 0)

        monkeypatch.setattr(store, "free_space", lambda: 1 << 30)  # so that it is asked again
        with pytest.raises(StorageFull):
            upload(store, request(), body(), policy(min_free=1))

        assert directory.is_empty()


class CountingExecutor(ThreadExecutor):
    """Counts how often work is handed to a thread and waited for."""

    hand_overs = 0

    def run_brief(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        return super().run_brief(function, *args, **kwargs)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        return super().submit(function, *args, **kwargs)


def test_costs_of_a_large_upload_in_hand_overs_do_not_grow_with_its_blocks(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as all that is asked for has arrived."""
    monkeypatch.setattr(pipeline, "_MAX_SECONDS", 3600.0)
    counts = []
    for blocks in (1, 40):
        executor = CountingExecutor()
        name = f"{blocks}.bmp"
        content = [BITMAP, *[bytes(MIB)] * blocks]
        context = UploadContext(store, policy(), executor)
        receive(request(name, length=sum(map(len, content))), content, context)
        counts.append(executor.hand_overs)
    assert counts[0] == counts[1] < 8


def test_staged_file_is_closed_only_once_no_thread_writes_to_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the thread could write to another file, which has its descriptor by then."""
    begun, may_write, events = threading.Event(), threading.Event(), []
    write, close = LocalWriter.write, LocalWriter.close

    def write_later(self: LocalWriter, block: bytes | memoryview) -> None:
        begun.set()
        assert may_write.wait(30)
        write(self, block)
        events.append("written")

    def close_now(self: LocalWriter) -> None:
        events.append("closed")
        close(self)

    monkeypatch.setattr(LocalWriter, "write", write_later)
    monkeypatch.setattr(LocalWriter, "close", close_now)
    context = UploadContext(store, policy(), ThreadExecutor(threads=2))
    uploader = gevent.spawn(receive, request(), [TEXT * 10], context)  # not a small file
    assert gevent.get_hub().threadpool.apply(begun.wait, (30,))
    uploader.kill(block=False)
    gevent.idle()
    may_write.set()
    uploader.join(30)
    assert events == ["written", "closed"]


class CallCounter(InlineExecutor):
    """Counts how often work is handed over to a thread."""

    hand_overs = 0
    is_handed_over = False

    def run_io(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += not self.is_handed_over
        return super().run_io(function, *args, **kwargs)

    def run_brief(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        self.is_handed_over = True
        return super().run_brief(function, *args, **kwargs)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        return super().submit(function, *args, **kwargs)


@pytest.mark.parametrize(
    ("length", "blocks"),
    [
        pytest.param(len(TEXT), [TEXT], id="of known length"),
        pytest.param(None, [TEXT], id="of unknown length, as in a form"),
        pytest.param(0, [], id="empty"),
        pytest.param(128 * 1024, [b"x" * 128 * 1024], id="of 128 KiB"),
    ],
)
def test_small_file_is_handed_over_to_a_thread_once(
    store: LocalStore, length: int | None, blocks: list[bytes]
) -> None:
    executor = CallCounter()

    receive(request(length=length), blocks, UploadContext(store, policy(), executor))

    assert executor.hand_overs == 1
    assert content_of(store) == b"".join(blocks)


def test_small_file_waits_for_scarce_space_where_it_holds_up_no_other(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another upload holds the lock as long as the disk takes to reserve all of its space."""
    depths, is_reserved_at = [0], list[int]()
    reserve = store.reserve_space

    class Executor(InlineExecutor):
        def run_io(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            depths[0] += 1
            try:
                return super().run_io(function, *args, **kwargs)
            finally:
                depths[0] -= 1

    def reserved(*args: Any, **kwargs: Any) -> int | None:
        is_reserved_at.append(depths[0])
        return reserve(*args, **kwargs)

    monkeypatch.setattr(store, "reserve_space", reserved)
    monkeypatch.setattr(store, "free_space", lambda: 1 << 30)
    receive(
        request(length=128 * 1024), [b"x" * 128 * 1024], UploadContext(store, policy(), Executor())
    )
    assert is_reserved_at == [1]


def test_small_file_whose_bytes_come_in_several_blocks_is_received_as_a_large_one(
    store: LocalStore,
) -> None:
    for length, name in ((len(TEXT), "a.txt"), (None, "b.txt")):
        blocks = (TEXT[:1000], TEXT[1000:2000], TEXT[2000:])
        result = upload(store, request(name, length), blocks)
        assert result.file.content.sha256 == sha256(TEXT)
        assert content_of(store, name) == TEXT


def test_libmagic_is_asked_once_about_a_small_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for method in ("from_buffer", "from_descriptor"):
        real = getattr(inspector.magic.Magic, method)

        def asked(self: Any, source: Any, real: Callable[..., Any] = real) -> Any:
            calls.append(source)
            return real(self, source)

        monkeypatch.setattr(inspector.magic.Magic, method, asked)
    for name in ("note.txt", "img.png", "note.doc", "note.docx"):
        calls.clear()
        data = (SAMPLES / name).read_bytes()
        upload(store, request(name, len(data)), [data])
        assert len(calls) == 1, name


class TestRefusedInBody:
    def test_one_byte_too_many_is_refused_and_the_rest_is_not_read(
        self, store: LocalStore, directory: Directory
    ) -> None:
        def blocks() -> Iterator[bytes]:
            yield TEXT
            yield b"x"
            yield from never_read()

        with pytest.raises(TooLarge):
            upload(store, request(), blocks(), policy(max_size=len(TEXT)))

        assert directory.is_empty()

    def test_wrong_declared_length_does_not_raise_the_limit(
        self, store: LocalStore, directory: Directory
    ) -> None:
        with pytest.raises(TooLarge):
            upload(store, request(length=1), [TEXT], policy(max_size=len(TEXT) - 1))

        assert directory.is_empty()

    @every_row(
        ("name", "content"),
        [
            ("a.pdf", TEXT * 1000),
            ("a.png", b""),
            ("a.docx", b"PK\x03\x04 no archive"),
            ("a.json", b"{"),
            ("a.txt", TEXT + b"\0"),
        ],
    )
    def test_content_of_another_type_leaves_nothing(
        self, store: LocalStore, directory: Directory, name: str, content: bytes
    ) -> None:
        with pytest.raises(ContentMismatch):
            upload(
                store,
                request(name),
                [content[offset : offset + 5000] for offset in range(0, len(content), 5000)],
            )

        assert directory.is_empty()

    @every_row("digest", [True, False])
    @every_row("number", range(6))
    def test_large_block_that_is_no_text_leaves_nothing_wherever_it_is(
        self, store: LocalStore, directory: Directory, number: int, digest: bool
    ) -> None:
        blocks = [TEXT * 40] * 6  # of so many bytes that a second thread scans them
        blocks[number] = blocks[number][:-1] + b"\0"

        context = UploadContext(store, policy(digest=digest), ThreadExecutor())
        with pytest.raises(ContentMismatch):
            receive(request(), blocks, context)

        assert directory.is_empty()

    @every_row("after", [0, 1, 2, 5])
    def test_body_that_is_cut_leaves_nothing_and_its_error_passes_through(
        self, store: LocalStore, directory: Directory, after: int
    ) -> None:
        def blocks() -> Iterator[bytes]:
            for _ in range(after):
                yield TEXT
            raise ConnectionCut

        with pytest.raises(ConnectionCut):
            upload(store, request(), blocks())

        assert directory.is_empty()

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_declared_digest_must_be_that_of_the_bytes(
        self, store: LocalStore, directory: Directory, algorithm: str
    ) -> None:
        wrong = hashlib.new(algorithm, OTHER).digest()
        right = hashlib.new(algorithm, TEXT).digest()

        with pytest.raises(DigestMismatch) as mismatch:
            upload(store, request(**{algorithm: wrong}))
        assert mismatch.value.algorithm == algorithm.replace("sha", "sha-")
        assert directory.is_empty()

        assert upload(store, request(**{algorithm: right})).created

    def test_each_of_two_declared_digests_is_verified(
        self, store: LocalStore, directory: Directory
    ) -> None:
        right, wrong = hashlib.sha256(TEXT).digest(), hashlib.sha512(OTHER).digest()

        with pytest.raises(DigestMismatch, match="sha-512"):
            upload(store, request(sha256=right, sha512=wrong))

        assert directory.is_empty()

    def test_truncated_digest_is_refused(self, store: LocalStore, directory: Directory) -> None:
        with pytest.raises(DigestMismatch):
            upload(store, request(sha256=sha256(TEXT)[:31]))

        assert directory.is_empty()


class TestNameTakenMeanwhile:
    """The name is free when the upload is admitted, and taken when its last byte arrives."""

    @staticmethod
    def body(other_store: LocalStore, content: bytes) -> Iterator[bytes]:
        yield TEXT[:100]
        publish(other_store, content)
        yield TEXT[100:]

    @pytest.mark.parametrize(
        ("create_only", "error"), [(False, NameTaken), (True, PreconditionNotMet)]
    )
    @pytest.mark.parametrize("declares", [False, True])
    def test_later_upload_is_refused_and_the_earlier_file_stays(
        self, store: LocalStore, other_store: LocalStore, directory: Directory, create_only: bool,
        error: type[Exception], declares: bool,
    ) -> None:  # fmt: skip
        digests = {"sha256": sha256(TEXT)} if declares else {}

        with pytest.raises(error, match="already"):
            upload(
                store, request(create_only=create_only, **digests),
                self.body(other_store, OTHER),
            )  # fmt: skip

        assert content_of(store) == OTHER
        assert not directory.staged()

    def test_same_bytes_without_a_digest_are_refused(
        self, store: LocalStore, other_store: LocalStore
    ) -> None:
        with pytest.raises(NameTaken):
            upload(store, request(), self.body(other_store, TEXT))

    @pytest.mark.parametrize("create_only", [False, True])
    def test_same_bytes_with_their_digest_return_the_stored_file(
        self, store: LocalStore, other_store: LocalStore, directory: Directory, create_only: bool
    ) -> None:
        declared = request(sha256=sha256(TEXT), create_only=create_only)

        result = upload(store, declared, self.body(other_store, TEXT))

        assert not result.created
        assert result.file == other_store.stat(NAME)
        assert not directory.staged()

    def test_wrong_digest_is_reported_rather_than_a_taken_name(
        self, store: LocalStore, other_store: LocalStore, directory: Directory
    ) -> None:
        with pytest.raises(DigestMismatch):
            upload(store, request(sha256=sha256(OTHER)), self.body(other_store, OTHER))

        assert directory.published() == {NAME}
        assert not directory.staged()
