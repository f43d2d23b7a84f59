"""Resumption: files that come in several requests, in whatever process each of them lands."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import Locked, NameTaken, NoSuchUpload, NotFound, StorageFull
from fileservice.storage.local import LocalStore
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import UploadPolicy, UploadRequest
from fileservice.upload.errors import (
    ContentMismatch,
    InvalidConcatenation,
    LengthConflict,
    OffsetMismatch,
    Sealed,
    TakenOver,
    TooLarge,
    UploadGone,
)
from fileservice.upload.resumable.service import ResumableUploads, Status

NAME = FileName.parse("note.txt")
TEXT = b"a line of text\n" * 1000
DAY = 86400.0
RULES = UploadPolicy(types=filetypes.TABLE, max_size=1 << 20, min_free=0, digest=True)


class Cut(Exception):
    """The client went away."""


class Killed(Exception):
    """kill -9: from here on nothing the process does has an effect."""


class Mortal(InlineExecutor):
    """The means of a process that can die."""

    dead = False

    def run_io(self, function, /, *args, **kwargs):
        if self.dead:
            raise Killed
        return super().run_io(function, *args, **kwargs)


class Process:
    """One worker process: its own memory, the shared store."""

    def __init__(self, root: Path, expiry: float = DAY, policy: UploadPolicy = RULES) -> None:
        self.store = LocalStore(root, fsync=False)
        self.executor = Mortal()
        self.uploads = ResumableUploads(self.store, policy, self.executor, expiry)

    def begin(self, length: int | None = len(TEXT), name: FileName = NAME) -> str:
        return self.uploads.create(UploadRequest(name, length), length, {}).upload

    def append(self, upload: str, offset: int, *blocks: bytes, **options: object):
        return self.uploads.append(
            upload,
            offset,
            iter(blocks),
            content_length=options.pop("coming", sum(map(len, blocks))),
            interrupt=lambda: None,
            **options,
        )

    def content(self, name: FileName = NAME) -> bytes:
        with self.store.open(name).body as body:
            return body.read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def process(root: Path) -> Process:
    return Process(root)


@pytest.fixture
def another(process: Process, root: Path) -> Process:
    return Process(root)


def stored(root: Path) -> set[str]:
    """What lies in the store of an upload's bytes and records."""
    private = root / ".fileservice"
    found = [*(private / "uploads").iterdir(), *(private / "ended").iterdir()]
    return {path.suffix or "bytes" for path in found}


def cut_after(*blocks: bytes) -> Iterator[bytes]:
    yield from blocks
    raise Cut


def test_the_file_is_there_with_its_last_byte_and_not_before(process: Process) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:5000])
    with pytest.raises(NotFound):
        process.store.stat(NAME)
    status = process.append(upload, 5000, TEXT[5000:])
    assert process.content() == TEXT
    assert status.record.finished == process.store.stat(NAME)
    assert status.record.finished.content.sha256 == hashlib.sha256(TEXT).digest()


def test_blocks_may_land_in_any_process(process: Process, another: Process, root: Path) -> None:
    data = TEXT * 60
    upload = process.begin(len(data))
    step, processes = len(data) // 7 + 1, [process, another, Process(root)]
    for session, offset in enumerate(range(0, len(data), step)):
        processes[session % 3].append(upload, offset, data[offset : offset + step])
    assert process.content() == data
    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(data).digest()


def test_what_arrived_before_a_cut_stays(process: Process, another: Process) -> None:
    upload = process.begin()
    with pytest.raises(Cut):
        process.uploads.append(
            upload,
            0,
            cut_after(TEXT[:700], TEXT[700:900]),
            content_length=None,
            interrupt=lambda: None,
        )
    assert another.uploads.status(upload).offset == 900
    another.append(upload, 900, TEXT[900:])
    assert process.content() == TEXT


def test_what_was_seen_of_blocks_that_do_not_count_is_forgotten_even_where_they_stay(
    process: Process, another: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer has lost the upload to another process, which takes other bytes in."""
    upload = process.begin()

    def lost(*_of: object) -> None:
        raise Locked

    wrong = cut_after(b"x" * 5000)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(LocalResumableWriter, "truncate", lost)
        with pytest.raises(Locked):
            process.uploads.append(
                upload, 0, wrong, content_length=6000, interrupt=lambda: None, atomic=True
            )
    another.append(upload, 0, TEXT[:6000])
    process.append(upload, 6000, TEXT[6000:])
    assert process.content() == TEXT
    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(TEXT).digest()


def test_of_blocks_that_count_only_whole_nothing_stays_after_a_cut(process: Process) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:100])
    with pytest.raises(Cut):
        process.uploads.append(
            upload,
            100,
            cut_after(TEXT[100:200]),
            content_length=None,
            interrupt=lambda: None,
            atomic=True,
        )
    assert process.uploads.status(upload).offset == 100
    process.append(upload, 100, TEXT[100:], atomic=True)
    assert process.content() == TEXT


def test_unproved_bytes_of_a_process_that_died_do_not_count(
    process: Process, another: Process
) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:100])
    blocks = dying(process)
    with pytest.raises(Killed):
        process.uploads.append(
            upload, 100, blocks, content_length=None, interrupt=lambda: None, atomic=True
        )
    assert another.store.uploads.bytes_written(upload) == 200
    assert another.uploads.status(upload).offset == 100
    another.append(upload, 100, TEXT[100:])
    assert another.content() == TEXT


def dying(process: Process) -> Iterator[bytes]:
    yield TEXT[100:200]
    yield b""  # the block before has been written now
    process.executor.dead = True
    process.uploads._locks._executor = InlineExecutor()  # the kernel closes its files
    raise Killed


def test_a_last_byte_that_was_not_followed_by_publishing_is_published_when_asked_for(
    process: Process, root: Path
) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:-1])
    with (root / ".fileservice/uploads" / upload).open("ab") as file:
        file.write(TEXT[-1:])  # as far as a process came that died then
    status = process.uploads.status(upload)
    assert status.record.finished
    assert process.content() == TEXT
    assert stored(root) == {".json"}


def test_an_upload_that_was_published_and_not_recorded_is_not_refused_for_its_own_name(
    process: Process, another: Process, root: Path
) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:-1])
    staged = root / ".fileservice/uploads" / upload
    with staged.open("ab") as file:
        file.write(TEXT[-1:])
    (root / NAME).hardlink_to(staged)  # as far as a process came that died then
    assert another.uploads.status(upload).record.finished
    assert another.content() == TEXT


def test_an_upload_that_comes_in_one_go_is_not_read_again(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.begin()
    monkeypatch.setattr("os.pread", None)
    process.append(upload, 0, TEXT[:4000])
    process.append(upload, 4000, TEXT[4000:])
    assert process.content() == TEXT


@pytest.mark.parametrize("offset", [0, 99, 101, len(TEXT)])
def test_bytes_must_begin_where_the_upload_stands(process: Process, offset: int) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:100])
    with pytest.raises(OffsetMismatch) as raised:
        process.append(upload, offset, b"more")
    assert raised.value.offset == 100
    assert process.uploads.status(upload).offset == 100


def test_bytes_past_the_length_are_refused_before_they_are_read(process: Process) -> None:
    def never() -> Iterable[bytes]:
        raise AssertionError
        yield b""

    upload = process.begin(100)
    with pytest.raises(TooLarge):
        process.uploads.append(upload, 0, never(), content_length=101, interrupt=lambda: None)


def test_undeclared_bytes_past_the_length_are_dropped_and_those_before_them_stay(
    process: Process, another: Process
) -> None:
    """Others may have been told of them."""
    upload = process.begin(100)
    told = []

    def blocks() -> Iterator[bytes]:
        yield TEXT[:60]
        yield b""
        told.append(another.uploads.status(upload).offset)
        yield TEXT[60:120]

    with pytest.raises(TooLarge):
        process.uploads.append(upload, 0, blocks(), content_length=None, interrupt=lambda: None)
    assert told == [60]
    assert process.uploads.status(upload).offset == 60
    process.append(upload, 60, TEXT[60:100])
    assert process.content() == TEXT[:100]


def test_a_deferred_length_is_declared_once(process: Process) -> None:
    upload = process.begin(None)
    process.append(upload, 0, TEXT[:10])
    process.append(upload, 10, TEXT[10:20], length=30)
    with pytest.raises(LengthConflict):
        process.append(upload, 20, TEXT[20:30], length=31)
    process.append(upload, 20, TEXT[20:30], length=30)
    assert process.content() == TEXT[:30]


def test_a_deferred_length_has_the_limit_of_any_file(process: Process) -> None:
    upload = process.begin(None)
    with pytest.raises(TooLarge):
        process.append(upload, 0, TEXT[:10], length=RULES.max_size + 1)
    with pytest.raises(TooLarge):
        process.append(upload, 0, TEXT * 100)


def test_a_wrong_type_ends_the_upload_and_leaves_the_reason(
    process: Process, another: Process, root: Path
) -> None:
    upload = process.begin(100_000, FileName.parse("image.png"))
    process.append(upload, 0, TEXT[:2000])
    with pytest.raises(ContentMismatch):
        another.append(upload, 2000, TEXT[2000:6000])
    with pytest.raises(UploadGone, match="image/png"):
        process.append(upload, 2000, TEXT[2000:6000])
    assert stored(root) == {".json"}


def test_a_name_that_was_taken_meanwhile_ends_the_upload(process: Process, root: Path) -> None:
    first, second = process.begin(), process.begin()
    process.append(first, 0, TEXT)
    with pytest.raises(NameTaken):
        process.append(second, 0, TEXT)
    with pytest.raises(UploadGone):
        process.uploads.status(second)
    assert stored(root) == {".json"}


def test_what_can_be_refused_is_refused_at_creation(process: Process, root: Path) -> None:
    with pytest.raises(TooLarge):
        process.begin(RULES.max_size + 1)
    process.append(process.begin(), 0, TEXT)
    with pytest.raises(NameTaken):
        process.begin()
    assert stored(root) == {".json"}


def test_a_finished_upload_tells_so_until_it_expires(root: Path) -> None:
    process = Process(root, expiry=0.5)
    upload = process.begin()
    process.append(upload, 0, TEXT)
    assert process.uploads.status(upload).offset == len(TEXT)
    assert process.append(upload, len(TEXT)).record.finished
    until(lambda: raises(UploadGone, process, upload))
    until(lambda: raises(NoSuchUpload, process, upload))
    assert process.content() == TEXT


def test_what_has_ended_does_not_lie_among_what_each_creation_counts(
    process: Process, another: Process, root: Path
) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT)
    assert not [*(root / ".fileservice/uploads").iterdir()]
    assert another.uploads.status(upload).record.finished
    another.uploads.cancel(upload)
    assert not stored(root)
    with pytest.raises(NoSuchUpload):
        process.uploads.status(upload)


def test_an_expired_upload_is_removed_by_whoever_sweeps_first(root: Path) -> None:
    process, other = Process(root, expiry=0.5), Process(root, expiry=0.5)
    upload = process.begin()
    process.append(upload, 0, TEXT[:100])

    def swept() -> bool:
        process.uploads.sweep()
        other.uploads.sweep()
        return stored(root) == {".json"}

    until(swept)
    with pytest.raises(UploadGone, match="expired"):
        other.append(upload, 100, TEXT[100:])

    def forgotten() -> bool:
        swept()
        return stored(root) == set()

    until(forgotten)


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"\xff", b'{"name": "a/b"}'])
def test_a_record_that_cannot_be_read_holds_nobody_up_and_is_swept(
    root: Path, record: bytes
) -> None:
    process = Process(root, expiry=0.5)
    broken, other = process.begin(), process.begin()
    path = root / ".fileservice/uploads" / f"{broken}.json"
    path.write_bytes(record)
    with pytest.raises(NoSuchUpload):
        process.uploads.status(broken)
    process.uploads.sweep()
    assert path.exists()
    assert process.uploads.status(other)

    def swept() -> bool:
        process.uploads.sweep()
        return not path.exists()

    until(swept)
    assert not path.with_suffix("").exists()


def test_a_record_without_bytes_is_swept(root: Path) -> None:
    process = Process(root, expiry=0.5)
    upload = process.begin()
    path = root / ".fileservice/uploads" / upload
    path.unlink()

    def swept() -> bool:
        process.uploads.sweep()
        return not path.with_suffix(".json").exists()

    until(swept)


def test_bytes_without_a_record_are_swept_by_age(root: Path) -> None:
    process = Process(root, expiry=0.5)
    orphan = root / ".fileservice/uploads" / ("0" * 32)
    orphan.write_bytes(TEXT)  # as far as a process came that died then
    process.uploads.sweep()
    assert orphan.exists()

    def swept() -> bool:
        process.uploads.sweep()
        return not orphan.exists()

    until(swept)


def raises(kind: type[Exception], process: Process, upload: str) -> bool:
    try:
        process.uploads.status(upload)
    except kind:
        return True
    except (UploadGone, NoSuchUpload):
        pass
    return False


def until(holds) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_upload_that_is_cancelled_is_gone_without_a_trace(process: Process, root: Path) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:100])
    process.uploads.cancel(upload)
    with pytest.raises(NoSuchUpload):
        process.uploads.status(upload)
    assert stored(root) == set()


def test_parts_become_one_file(process: Process, another: Process, root: Path) -> None:
    parts = []
    for number, data in enumerate((TEXT[:400], TEXT[400:401], b"", TEXT[401:])):
        part = process.uploads.create(None, len(data), {}).upload
        (process, another)[number % 2].append(part, 0, data)
        parts.append(part)
    status = another.uploads.concatenate(UploadRequest(NAME, None), parts, {})
    assert status.record.finished
    assert process.content() == TEXT
    assert stored(root) == {".json"}
    with pytest.raises(Sealed):
        process.append(status.upload, len(TEXT), b"more")
    for part in parts:
        with pytest.raises(NoSuchUpload):
            process.uploads.status(part)


def test_only_complete_parts_can_be_joined(process: Process, root: Path) -> None:
    part = process.uploads.create(None, 10, {}).upload
    process.append(part, 0, b"some")
    whole = process.begin()
    for parts in ([part], [whole], ["0" * 32], ["no id"]):
        with pytest.raises(InvalidConcatenation):
            process.uploads.concatenate(
                UploadRequest(FileName.parse("joined.txt"), None), parts, {}
            )
    assert process.uploads.status(part).offset == 4


def test_parts_that_begin_with_a_wrong_type_stay_for_a_better_name(process: Process) -> None:
    part = process.uploads.create(None, 4, {}).upload
    process.append(part, 0, b"text")
    with pytest.raises(ContentMismatch):
        process.uploads.concatenate(UploadRequest(FileName.parse("image.png"), None), [part], {})
    assert process.uploads.status(part).offset == 4


def test_parts_that_turn_out_at_their_end_to_be_wrong_are_copied_once_and_then_gone(
    process: Process, root: Path
) -> None:
    data = b"PK\x03\x04" + TEXT
    part = process.uploads.create(None, len(data), {}).upload
    process.append(part, 0, data)
    with pytest.raises(ContentMismatch):
        process.uploads.concatenate(UploadRequest(FileName.parse("joined.zip"), None), [part], {})
    assert not stored(root)
    with pytest.raises(InvalidConcatenation):
        process.uploads.concatenate(UploadRequest(FileName.parse("joined.zip"), None), [part], {})


def test_a_part_stands_in_a_file_once(process: Process) -> None:
    part = process.uploads.create(None, len(TEXT), {}).upload
    process.append(part, 0, TEXT)
    with pytest.raises(InvalidConcatenation, match="once"):
        process.uploads.concatenate(UploadRequest(NAME, None), [part] * 200, {})
    assert process.uploads.concatenate(UploadRequest(NAME, None), [part], {}).record.finished
    assert process.content() == TEXT


def test_room_for_what_is_declared_is_taken_at_once(root: Path) -> None:
    free = LocalStore(root, fsync=False).free_space()
    assert free
    policy = UploadPolicy(
        types=filetypes.TABLE, max_size=free, min_free=free - (50 << 20), digest=True
    )
    process = Process(root, policy=policy)
    first = process.begin(30 << 20)
    with pytest.raises(StorageFull):
        process.begin(30 << 20, FileName.parse("other.txt"))
    process.uploads.cancel(first)
    process.begin(30 << 20, FileName.parse("other.txt"))


class Body:
    """Blocks that come when the test says so, until the request is interrupted."""

    def __init__(self) -> None:
        self._news = threading.Semaphore(0)
        self._blocks: list[bytes] = []
        self.cut = False

    def send(self, block: bytes) -> None:
        self._blocks.append(block)
        self._news.release()

    def interrupt(self) -> None:
        self.cut = True
        self._news.release()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._news.acquire()
            if self.cut:
                raise Cut
            yield self._blocks.pop(0)


@pytest.fixture
def sending(process: Process) -> Iterator[tuple[str, Body]]:
    """An upload to which a request in another process is sending."""
    upload, body = process.begin(), Body()
    ended: list[BaseException] = []

    def send() -> None:
        try:
            process.uploads.append(upload, 0, body, content_length=None, interrupt=body.interrupt)
        except (Cut, TakenOver) as error:
            ended.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    body.send(TEXT[:100])
    until(lambda: process.store.uploads.bytes_written(upload) == 100)
    yield upload, body
    taken_over = body.cut
    body.interrupt()
    thread.join(10)
    assert [type(error) for error in ended] == [TakenOver if taken_over else Cut]


def test_a_request_that_still_sends_is_not_driven_out(
    another: Process, sending: tuple[str, Body]
) -> None:
    upload, body = sending
    timer = threading.Timer(0.3, body.send, [TEXT[100:200]])
    timer.start()
    with pytest.raises(Locked):
        another.append(upload, 100, TEXT[100:])
    timer.join()
    assert not body.cut


def test_a_request_that_has_gone_quiet_is_taken_over_from(
    another: Process, sending: tuple[str, Body]
) -> None:
    upload, body = sending
    another.append(upload, 100, TEXT[100:])
    assert body.cut
    assert another.content() == TEXT


def test_how_an_upload_stands_can_be_asked_while_a_request_sends(
    another: Process, sending: tuple[str, Body]
) -> None:
    upload, _ = sending
    assert another.uploads.status(upload).offset == 100


def test_a_claim_of_a_dead_process_drives_nobody_out(
    process: Process, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileservice.storage.local.locker._REQUEST_SECONDS", 0.0)
    upload = process.begin()
    process.store.locker.request_release(upload)
    assert process.store.locker.release_requests() == []
    assert not list((root / ".fileservice/release-requests").iterdir())


def test_the_room_taken_for_an_upload_outlasts_a_block_that_was_damaged(
    process: Process, root: Path
) -> None:
    upload = process.begin(len(TEXT) * 50)
    path = root / ".fileservice/uploads" / upload
    taken = path.stat().st_blocks
    assert taken, "this file system cannot reserve"
    with pytest.raises(Cut):
        process.uploads.append(
            upload, 0, cut_after(TEXT), content_length=None, interrupt=lambda: None, atomic=True
        )
    assert process.uploads.status(upload).offset == 0
    assert path.stat().st_blocks >= taken


def test_a_block_that_was_damaged_is_not_taken_for_a_wrong_type(process: Process) -> None:
    upload = process.begin()
    with pytest.raises(Cut):  # as a checksum does that does not hold
        process.uploads.append(
            upload,
            0,
            cut_after(b"\x00\x01" * 3000, TEXT[6000:]),
            content_length=None,
            interrupt=lambda: None,
            atomic=True,
        )
    assert process.append(upload, 0, TEXT, atomic=True).record.finished
    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(TEXT).digest()


def test_a_wrong_type_is_refused_where_the_checksum_holds(process: Process) -> None:
    upload = process.begin()
    with pytest.raises(ContentMismatch):
        process.append(upload, 0, b"\x00\x01" * 3000, TEXT[6000:], atomic=True)
    with pytest.raises(UploadGone):
        process.uploads.status(upload)


def test_one_that_is_being_published_is_not_disturbed_nor_taken_for_done(
    process: Process, another: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.begin()
    publishing, go_on = threading.Event(), threading.Event()

    def slow_writer(self: object, *arguments: object) -> object:
        publishing.set()
        assert go_on.wait(10)
        return real(self, *arguments)

    real = LocalResumableWriter.publish
    monkeypatch.setattr(LocalResumableWriter, "publish", slow_writer)
    sender = threading.Thread(target=process.append, args=(upload, 0, TEXT))
    sender.start()
    assert publishing.wait(10)
    begun = time.monotonic()
    with pytest.raises(Locked):
        another.uploads.status(upload)
    assert time.monotonic() - begun < 1
    assert not another.store.locker.release_requests()
    go_on.set()
    sender.join()
    assert another.uploads.status(upload).record.finished
    assert process.content() == TEXT


@pytest.mark.parametrize(
    "ask",
    [
        lambda late, upload: late.append(upload, 5000, TEXT[5000:]),
        lambda late, upload: late.append(upload, len(TEXT)),
        lambda late, upload: late.uploads.settle(upload),
        lambda late, upload: late.uploads.status(upload),
    ],
    ids=["repeated bytes", "no bytes", "settle", "status"],
)
def test_who_comes_while_an_upload_ends_is_told_how_it_ended(
    process: Process, another: Process, monkeypatch: pytest.MonkeyPatch, ask
) -> None:
    upload = process.begin()
    process.append(upload, 0, TEXT[:5000])
    if ask.__code__.co_names[-1] == "status":  # which looks for bytes that wait to be published
        monkeypatch.setattr(Status, "ready", property(lambda status: status.record.open))
    open_upload = another.store.locker.lock

    def open_late(wanted: str):
        monkeypatch.undo()
        process.append(upload, 5000, TEXT[5000:])
        return open_upload(wanted)

    monkeypatch.setattr(another.store.locker, "lock", open_late)
    with contextlib.suppress(OffsetMismatch):  # it says that all is there
        assert ask(another, upload).record.finished
    assert another.uploads.status(upload).record.finished


def test_an_upload_that_was_refused_while_another_request_came_is_told_so(
    process: Process, another: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.begin()
    open_upload = another.store.locker.lock

    def open_late(wanted: str):
        with pytest.raises(ContentMismatch):
            process.append(upload, 0, b"\0" * 5000)
        return open_upload(wanted)

    monkeypatch.setattr(another.store.locker, "lock", open_late)
    with pytest.raises(UploadGone):
        another.append(upload, 0, TEXT)


def test_a_published_file_is_a_success_though_its_record_cannot_be_written(
    process: Process, another: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.begin()

    def full(writer: LocalResumableWriter, record: bytes) -> None:
        raise StorageFull("there is no room left")

    with monkeypatch.context() as patch:
        patch.setattr(LocalResumableWriter, "end", full)
        assert process.append(upload, 0, TEXT).record.finished
    assert process.content() == TEXT
    assert another.uploads.status(upload).record.finished


def test_a_join_that_is_refused_leaves_nothing_but_its_parts(process: Process, root: Path) -> None:
    part = process.uploads.create(None, len(TEXT), {}).upload
    process.append(part, 0, TEXT)
    before = {path.name for path in (root / ".fileservice/uploads").iterdir()}
    with pytest.raises(ContentMismatch):
        process.uploads.concatenate(UploadRequest(FileName.parse("a.png"), None), [part], {})
    assert {path.name for path in (root / ".fileservice/uploads").iterdir()} == before
    assert process.uploads.concatenate(UploadRequest(NAME, None), [part], {}).record.finished
