"""StagedChecks: every complete file passes them, after it is verified and before it is visible."""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import gevent.lock
import pytest

from fileservice import filetypes
from fileservice.executor import Executor
from fileservice.gevent_executor import GreenletExecutor, InlineExecutor, ThreadExecutor
from fileservice.names import FileName
from fileservice.storage import Content, StorageUnavailable
from fileservice.storage.local import LocalStore
from fileservice.upload import (
    Caller,
    ContentMismatch,
    DigestMismatch,
    FileFacts,
    RefusedByHook,
    StagedCheck,
    StagedChecks,
    TooManyChecks,
    UploadContext,
    UploadPolicy,
    UploadRequest,
    receive,
    staged_checks,
)
from fileservice.upload.inspection.scan import begin_scan
from fileservice.upload.publish import publish_unchecked
from fileservice.upload.quota import UNLIMITED
from tests.support.descriptors import count_descriptors
from tests.support.rows import every_row

NAME = FileName.parse("note.txt")
TEXT = b"a line of text\n" * 100
MIB = 1 << 20
POLICY = UploadPolicy(
    types=filetypes.select(filetypes.DEFAULT_EXTENSIONS), max_size=1 << 30, min_free=0, digest=True
)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", fsync=False)


class Recorder:
    """A check that keeps what it saw, and refuses if it is to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.seen: list[tuple[bytes, FileFacts]] = []
        self.published: list[str] = []
        self.flags = 0

    def __call__(self, descriptor: int, facts: FileFacts, /) -> None:
        self.seen.append((os.pread(descriptor, 1 << 30, 0), facts))
        self.flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if self.refuses:
            raise RefusedByHook("no")


def context(
    store: LocalStore, *checks: StagedCheck, executor: Executor | None = None, limit: int = 1
) -> UploadContext:
    own = StagedChecks(checks, limit)
    return UploadContext(store, POLICY, executor or InlineExecutor(), staged_checks=own)


def upload(where: UploadContext, *blocks: bytes, **declared: object) -> None:
    request = replace(UploadRequest(NAME, None), **declared)  # type: ignore[arg-type]
    receive(request, blocks or (TEXT,), where)


def names(store: LocalStore) -> list[str]:
    return [file.name for file in store.list()]


@pytest.mark.parametrize("make", [InlineExecutor, ThreadExecutor, GreenletExecutor])
@pytest.mark.parametrize("blocks", [[TEXT], [TEXT] * 200, [b""]], ids=["small", "large", "empty"])
def test_check_sees_all_bytes_and_what_is_known(
    store: LocalStore, make: Callable[[], Executor], blocks: list[bytes]
) -> None:
    check, content = Recorder(), b"".join(blocks)
    upload(context(store, check, executor=make()), *blocks, caller=Caller(owner="token:ci"))

    [(seen, facts)] = check.seen
    assert seen == content
    assert facts == FileFacts(
        NAME,
        len(content),
        Content("text/plain", "utf-8" if content else facts.content.charset,
                hashlib.sha256(content).digest()),
        "token:ci",
    )  # fmt: skip
    assert names(store) == [NAME]


def test_nothing_is_visible_before_all_checks_have_accepted(store: LocalStore) -> None:
    visible: list[list[str]] = []

    def look(_descriptor: int, _facts: FileFacts) -> None:
        visible.append(names(store))

    upload(context(store, look, Recorder(), look))
    assert visible == [[], []]


def test_first_check_that_refuses_is_the_last_one(store: LocalStore, tmp_path: Path) -> None:
    first, second, third = Recorder(), Recorder(refuses=True), Recorder()
    with pytest.raises(RefusedByHook):
        upload(context(store, first, second, third))
    assert [len(check.seen) for check in (first, second, third)] == [1, 1, 0]
    assert names(store) == []
    assert list((tmp_path / "store/.fileservice/staging").iterdir()) == []


def test_file_is_verified_before_and_rights_after_the_checks(store: LocalStore) -> None:
    calls: list[str] = []

    def authorize(_name: FileName | None) -> None:
        calls.append("rights")

    def check(_descriptor: int, _facts: FileFacts) -> None:
        calls.append("check")

    upload(context(store, check), caller=Caller(authorize=authorize))
    assert calls == ["rights", "check", "rights"]

    store.delete(NAME)
    with pytest.raises(DigestMismatch):
        upload(context(store, check), digests={"sha-256": bytes(32)})
    with pytest.raises(ContentMismatch):
        upload(context(store, check), b"\x89PNG\r\n\x1a\n\0")
    assert calls.count("check") == 1


def test_file_that_was_refused_does_not_free_its_name_for_a_moment(store: LocalStore) -> None:
    upload(context(store, Recorder()))
    with pytest.raises(RefusedByHook):
        upload(context(store, Recorder(refuses=True)), b"other", replaces=("*",))
    assert store.stat(NAME).size == len(TEXT)


def test_check_can_neither_write_nor_hold_the_lock(store: LocalStore) -> None:
    check = Recorder()
    kept: list[int] = []

    def keep(descriptor: int, _facts: FileFacts) -> None:
        kept.append(os.dup(descriptor))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")

    with pytest.raises(RefusedByHook):
        upload(context(store, check, keep, Recorder(refuses=True)))
    assert check.flags & os.O_ACCMODE == os.O_RDONLY
    fcntl.flock(kept[0], fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody has it: the writer's own is gone
    os.close(kept[0])


def test_no_descriptor_is_left(store: LocalStore) -> None:
    before = count_descriptors()
    upload(context(store, Recorder()))
    with pytest.raises(RefusedByHook):
        upload(context(store, Recorder(refuses=True)), replaces=("*",))
    assert count_descriptors() == before


def test_only_so_many_files_are_checked_at_once_and_no_thread_is_held(
    store: LocalStore,
) -> None:
    """There are more files than threads, and the checks wait for work in one of these."""
    executor = ThreadExecutor(2)
    under_way = most = 0

    def check(_descriptor: int, _facts: FileFacts) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            executor.run_io(store.free_space)
            assert executor.delay() < 10
            gevent.sleep(0.001)
        under_way -= 1

    where = context(store, check, executor=executor, limit=3)

    def one(number: int) -> None:
        receive(UploadRequest(FileName.parse(f"{number}.txt"), len(TEXT)), (TEXT,), where)

    # As in the server, where gevent has replaced the semaphore of threading.
    where.staged_checks._slots = gevent.lock.BoundedSemaphore(3)  # type: ignore[union-attr]
    gevent.joinall([gevent.spawn(one, number) for number in range(20)], raise_error=True)
    assert most == 3
    assert len(names(store)) == 20


def test_file_that_waits_for_too_long_is_refused(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_checks, "_WAIT_SECONDS", 0.05)
    begun, may_end = threading.Event(), threading.Event()

    def wait(_descriptor: int, _facts: FileFacts) -> None:
        begun.set()
        assert may_end.wait(60)

    where = context(store, wait)
    thread = threading.Thread(target=upload, args=(where,))
    thread.start()
    assert begun.wait(60)
    with pytest.raises(TooManyChecks):
        receive(UploadRequest(FileName.parse("b.txt"), None), (TEXT,), where)
    may_end.set()
    thread.join()
    assert names(store) == [NAME]


def test_slot_is_free_again_after_every_end(store: LocalStore) -> None:
    where = context(store, Recorder(refuses=True))
    for _ in range(3):
        with pytest.raises(RefusedByHook):
            upload(where)


def test_publishing_without_the_checks_is_an_error(store: LocalStore) -> None:
    """A way in that forgets them fails, and does not publish."""
    request, where = UploadRequest(NAME, len(TEXT)), context(store, Recorder())
    writer, scan = store.writer(), begin_scan(request, POLICY)
    scan.inspect(TEXT)
    scan.hash(TEXT)
    writer.write(TEXT)
    with pytest.raises(RuntimeError, match="checked"):
        publish_unchecked(request, where, writer, scan, UNLIMITED)
    writer.close()
    assert names(store) == []


class Elsewhere:
    """A staged file whose bytes are not in a file of this machine."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)
        self.reads = 0

    def read_at(self, count: int, offset: int) -> bytes:
        self.reads += 1
        return self._content[offset : offset + count]

    def descriptor(self) -> AbstractContextManager[int]:
        raise AssertionError("it may have a part of the bytes only")

    def reopen(self) -> None:
        return None


@every_row("size", [0, 1000, 8 * MIB, 17 * MIB])
def test_bytes_that_are_elsewhere_are_copied(size: int) -> None:
    check, content = Recorder(), os.urandom(size)
    facts = FileFacts(NAME, size, Content("text/plain"), "")
    StagedChecks([check], 1).require(Elsewhere(content), facts, InlineExecutor())
    assert check.seen == [(content, facts)]
    assert check.flags & os.O_ACCMODE == os.O_RDONLY


def test_want_of_room_for_the_copy_is_an_error_of_the_storage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(staged_checks.tempfile, "tempdir", str(tmp_path / "missing"))
    facts = FileFacts(NAME, 9 * MIB, Content("text/plain"), "")
    check = Recorder()
    with pytest.raises(StorageUnavailable, match="copied"):
        StagedChecks([check], 1).require(Elsewhere(bytes(9 * MIB)), facts, InlineExecutor())
    assert check.seen == []
