"""Quotas hold in every kind of upload, and heal wherever a process is killed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from fileservice import filetypes
from fileservice.access import Quota, QuotaAccounts, QuotaExceeded, RecountIntervals
from fileservice.access.amounts import Amount
from fileservice.access.counter_records import counter_of
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, StorageUnavailable
from fileservice.storage.local import LocalStore
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import (
    ANY_VERSION,
    AppendRequest,
    Caller,
    PreconditionNotMet,
    ResumableUploads,
    UploadContext,
    UploadGone,
    UploadPolicy,
    UploadRequest,
    held_reservations,
    receive,
    remove_expired_files,
)
from tests.access.test_accounts import make_reservations_lapse
from tests.upload.resumable.process import DAY, make_older

CI = "token:ci"
QUOTA = Quota(bytes=100_000, files=10)
POLICY = UploadPolicy(types=filetypes.TABLE, max_size=1 << 20, min_free=0, digest=True)
PACKAGE = Path(__file__).parents[2] / "fileservice"
TRACED = tuple(str(PACKAGE / part) for part in ("access", "storage", "upload"))
UNTRACED = str(PACKAGE / "upload/inspection")
NEVER = RecountIntervals(regular=1e9, before_refusal=1e9, shortest=1e9)
ALWAYS = RecountIntervals(regular=1e9, before_refusal=-1.0, shortest=-1.0)
KILLED = -signal.SIGKILL
NAME = FileName.parse("a.txt")


class Process:
    """A worker process, in which one principal with a quota uploads."""

    def __init__(self, root: Path, intervals: RecountIntervals = NEVER) -> None:
        self.root = root
        self.store = LocalStore(root, fsync=False)
        executor = InlineExecutor()
        accounts = QuotaAccounts(
            self.store, executor, partial(held_reservations, self.store), intervals
        )
        self.accounts = accounts
        self.context = UploadContext(
            self.store, POLICY, executor, accounts.release, begin_removal=accounts.begin_removal
        )
        self.uploads = ResumableUploads(self.context, expiry=DAY)
        self.caller = Caller(
            CI,
            CI,
            authorize_replacement=lambda _name: None,
            account=accounts.account(CI, lambda: QUOTA),
        )

    def put(self, name: str, size: int, *, declared: bool = True) -> None:
        length = size if declared else None
        request = UploadRequest(FileName.parse(name), length, caller=self.caller)
        blocks = [b"x" * (size // 2), b"x" * (size - size // 2)]
        receive(request, blocks, self.context)

    def replace(self, name: str, size: int) -> None:
        request = UploadRequest(
            FileName.parse(name), size, replaces=ANY_VERSION, caller=self.caller
        )
        receive(request, [b"y" * size], self.context)

    def create(
        self, name: str | None, length: int | None, replaces: tuple[str, ...] | None = None
    ) -> str:
        request = name and UploadRequest(
            FileName.parse(name), length, replaces=replaces, caller=self.caller
        )
        return self.uploads.create(request or None, length, {}, caller=self.caller).upload

    def append(self, upload: str, offset: int, size: int, length: int | None = None) -> None:
        request = AppendRequest(
            offset, [b"x" * size], size, lambda: None, length=length, caller=self.caller
        )
        self.uploads.append(upload, request)

    def concatenate(self, name: str, *parts: str) -> None:
        request = UploadRequest(FileName.parse(name), None, caller=self.caller)
        self.uploads.concatenate(request, parts, {})

    def delete(self, name: str) -> None:
        file = self.store.stat(FileName.parse(name))
        self.accounts.delete(file, partial(self.store.delete, file.name))

    def used(self) -> Amount:
        return counter_of(CI, self.store.usage.read(CI)).total

    def in_store(self, *, parts: bool) -> Amount:
        """What the principal's files and unfinished uploads have, from the store itself.

        Without `parts`, partial uploads do not count: they may have become a file already. Of an
        upload that is to replace a file which exists, the difference counts.
        """
        reservations = counter_of(CI, self.store.usage.read(CI)).reservations
        found, published = Amount(), set()
        for file in self.store.usage.owned_files():
            found += Amount(file.size, 1)
            published.add(file.owner.reservation)
        for held in held_reservations(self.store):
            if held.name not in published and (parts or held.files):
                found += Amount(held.size, held.files)
                replaces = held.name in reservations and reservations[held.name].replaces
                if replaces and replaces.key in published:
                    found -= Amount(min(held.size, replaces.size), 1)
        return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def process(root: Path) -> Process:
    return Process(root)


def killed_at(line: int, act: Callable[[], object]) -> bool:
    """Run `act` in a child that is killed at so many lines of the package; was it killed?"""
    child = os.fork()
    if child == 0:
        left = line

        def trace(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal left
            file = frame.f_code.co_filename
            if not file.startswith(TRACED) or file.startswith(UNTRACED):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED), code
    return code == KILLED


def one_request(process: Process) -> None:
    process.put("one.txt", 30_000)


def unknown_length(process: Process) -> None:
    process.put("unknown.txt", 30_000, declared=False)


def resumed(process: Process) -> None:
    upload = process.create("resumed.txt", 30_000)
    process.append(upload, 0, 10_000)
    process.append(upload, 10_000, 20_000)


def cancelled(process: Process) -> None:
    upload = process.create("cancelled.txt", 30_000)
    process.append(upload, 0, 10_000)
    process.uploads.cancel(upload, process.caller)


def concatenated(process: Process) -> None:
    parts = [process.create(None, 15_000) for _ in range(2)]
    for part in parts:
        process.append(part, 0, 15_000)
    process.concatenate("whole.txt", *parts)


def deleted(process: Process) -> None:
    process.delete("first.txt")


def replaced(process: Process) -> None:
    process.replace("first.txt", 30_000)


def replaced_at_the_limit(process: Process) -> None:
    process.put("rest.txt", 80_000)
    process.replace("first.txt", 20_000)


def replaced_by_a_resumed_upload(process: Process) -> None:
    upload = process.create("first.txt", 30_000, ANY_VERSION)
    process.append(upload, 0, 10_000)
    process.append(upload, 10_000, 20_000)


def expire(process: Process, name: str) -> None:
    """Let the time of a stored file be over."""
    os.setxattr(process.root / name, "user.fileservice.expires", b"1")
    assert name not in [file.name for file in process.store.list()]  # and it is in the index now


def swept(process: Process) -> None:
    expire(process, "first.txt")
    remove_expired_files(process.context)


def taken_over(process: Process) -> None:
    expire(process, "first.txt")
    process.put("first.txt", 30_000)


ACTS = [
    one_request,
    unknown_length,
    resumed,
    cancelled,
    concatenated,
    deleted,
    replaced,
    replaced_at_the_limit,
    replaced_by_a_resumed_upload,
    swept,
    taken_over,
]


def lines(step: int) -> Iterator[int]:
    return iter(range(1, 1_000_000, step))


@pytest.mark.parametrize(
    ("act", "step"),
    [
        *((act, 401) for act in (one_request, resumed, replaced, swept)),
        *(
            pytest.param(act, 83, marks=[pytest.mark.thorough, pytest.mark.timeout(900)])
            for act in ACTS
        ),
    ],
)
def test_a_process_killed_at_any_line_leaves_a_counter_that_heals(
    tmp_path: Path, act: Callable[[Process], None], step: int
) -> None:
    for line in lines(step):
        root = tmp_path / str(line)
        Process(root).put("first.txt", 20_000)

        was_killed = killed_at(line, lambda root=root: act(Process(root)))

        process = Process(root)
        used, in_store = process.used(), process.in_store(parts=False)
        assert used.bytes >= in_store.bytes, line
        assert used.files >= in_store.files, line
        make_reservations_lapse(process.store)
        in_store = process.in_store(parts=True)
        healed = Process(root, ALWAYS)
        with pytest.raises(QuotaExceeded):
            healed.put("huge.txt", 100_001)
        healed.put("fits.txt", 100_000 - in_store.bytes)
        with pytest.raises(QuotaExceeded):
            healed.put("more.txt", 1)
        assert healed.used() == Amount(100_000, in_store.files + 1), line
        if not was_killed:
            return
    raise AssertionError


class TestReplacingAtTheLimit:
    """The principal has stored as much as it may."""

    @pytest.fixture(autouse=True)
    def full(self, process: Process) -> None:
        process.put("a.txt", 60_000)
        process.put("rest.txt", 40_000)

    def test_a_file_can_be_replaced_by_one_of_the_same_size(self, process: Process) -> None:
        process.replace("a.txt", 60_000)
        assert process.used() == Amount(100_000, 2)
        with pytest.raises(QuotaExceeded):
            process.replace("a.txt", 60_001)
        process.replace("a.txt", 10_000)
        assert process.used() == Amount(50_000, 2)

    def test_the_number_of_files_does_not_matter(self, process: Process) -> None:
        process.replace("a.txt", 10)
        for number in range(8):
            process.put(f"{number}.txt", 1)
        process.replace("a.txt", 20)
        with pytest.raises(QuotaExceeded):
            process.put("one-more.txt", 1)

    def test_by_an_upload_in_several_requests_as_well(self, process: Process) -> None:
        upload = process.create("a.txt", 60_000, ANY_VERSION)
        process.append(upload, 0, 30_000)
        assert process.used() == Amount(100_000, 2)
        process.append(upload, 30_000, 30_000)
        assert process.used() == process.in_store(parts=True) == Amount(100_000, 2)

    def test_by_one_of_unknown_length_as_well(self, process: Process) -> None:
        upload = process.create("a.txt", None, ANY_VERSION)
        process.append(upload, 0, 30_000)
        with pytest.raises(QuotaExceeded):
            process.append(upload, 30_000, 30_001)
        process.append(upload, 30_000, 30_000, length=60_000)
        assert process.used() == process.in_store(parts=True) == Amount(100_000, 2)

    def test_the_bytes_of_the_old_file_are_for_nobody_else_if_it_is_deleted_meanwhile(
        self, process: Process
    ) -> None:
        upload = process.create("a.txt", 60_000, ANY_VERSION)
        process.delete("a.txt")
        with pytest.raises(QuotaExceeded):
            process.put("b.txt", 1)
        with pytest.raises(PreconditionNotMet):
            process.append(upload, 0, 60_000)
        process.put("b.txt", 60_000)
        assert process.used() == Amount(100_000, 2)

    def test_another_owner_of_the_name_meanwhile_is_not_counted_on(self, process: Process) -> None:
        upload = process.create("a.txt", 60_000, ANY_VERSION)
        process.delete("a.txt")
        other = UploadRequest(NAME, 60_000, caller=Caller("token:other", "token:other"))
        receive(other, [b"z" * 60_000], process.context)
        process.append(upload, 0, 60_000)
        assert process.used() == process.in_store(parts=True) == Amount(100_000, 2)

    def test_it_counts_whole_after_a_recount_if_the_old_file_was_removed_by_other_means(
        self, process: Process
    ) -> None:
        upload = process.create("a.txt", 60_000, ANY_VERSION)
        process.append(upload, 0, 30_000)
        (process.root / "a.txt").unlink()  # by the operator: nothing is given back
        process.delete("rest.txt")
        with pytest.raises(QuotaExceeded):
            Process(process.root, ALWAYS).put("b.txt", 60_000)  # counts again
        process.put("a.txt", 10)
        with pytest.raises(QuotaExceeded):
            process.put("b.txt", 39_991)
        process.put("b.txt", 39_990)
        process.append(upload, 30_000, 30_000)
        assert process.used() == process.in_store(parts=True) == Amount(99_990, 2)

    def test_of_eight_at_once_the_sum_is_never_more(self, process: Process) -> None:
        start = threading.Barrier(8)

        def act(number: int) -> bool:
            process = Process(process_root)
            succeeded = False
            start.wait()
            for size in (60_000, 30_000, 60_000):
                with suppress(QuotaExceeded, PreconditionNotMet, NameTaken):
                    if number % 2:
                        process.replace("a.txt", size)
                    else:
                        process.put(f"{number}.txt", 30_000)
                    succeeded = True
            return succeeded

        process_root = process.root
        with ThreadPoolExecutor(8) as threads:
            assert any(threads.map(act, range(8)))
        assert process.in_store(parts=True).bytes <= 100_000
        assert process.used().bytes >= process.in_store(parts=True).bytes
        make_reservations_lapse(process.store)
        with pytest.raises(QuotaExceeded):
            Process(process.root, ALWAYS).put("huge.txt", 100_001)
        assert process.used() == process.in_store(parts=True)


class TestExpiredFile:
    def test_sweep_gives_its_bytes_back_to_its_owner(self, process: Process) -> None:
        process.put("a.txt", 60_000)
        process.put("stays.txt", 30_000)
        expire(process, "a.txt")
        assert process.used() == Amount(90_000, 2)

        swept_in = Process(process.root)
        remove_expired_files(swept_in.context)
        remove_expired_files(process.context)

        assert process.used() == process.in_store(parts=True) == Amount(30_000, 1)

    def test_its_bytes_are_free_for_the_upload_that_takes_its_name(self, process: Process) -> None:
        process.put("a.txt", 90_000)
        with pytest.raises(NameTaken):
            process.put("a.txt", 10_000)
        expire(process, "a.txt")

        process.put("a.txt", 80_000)

        assert process.used() == process.in_store(parts=True) == Amount(80_000, 1)

    def test_its_bytes_are_given_back_once_whoever_removes_it(self, root: Path) -> None:
        """Sweeps and uploads that want the name compete for it."""
        for size in range(10_000, 10_010):
            Process(root).put("a.txt", size)
            expire(Process(root), "a.txt")
            start = threading.Barrier(8)

            def act(number: int, start: threading.Barrier = start) -> bool:
                process = Process(root)
                start.wait()
                if number % 2:
                    remove_expired_files(process.context)
                    return False
                try:
                    process.put("a.txt", 5000 + number)
                except NameTaken:
                    return False
                return True

            with ThreadPoolExecutor(8) as threads:
                assert list(threads.map(act, range(8))).count(True) == 1

            process = Process(root)
            assert process.used() == process.in_store(parts=True)
            assert process.used().files == 1
            process.delete("a.txt")
            assert process.used() == Amount()


class TestExpiry:
    @pytest.mark.parametrize("received", [0, 10_000])
    def test_an_upload_that_expires_gives_back_what_it_reserved(
        self, process: Process, root: Path, received: int
    ) -> None:
        upload = process.create("a.txt", 60_000)
        if received:
            process.append(upload, 0, received)
        assert process.used() == Amount(60_000, 1)
        make_older(root, upload)

        Process(root).uploads.sweep()

        assert process.used() == Amount()

    def test_a_request_that_finds_it_expired_gives_it_back_as_well(
        self, process: Process, root: Path
    ) -> None:
        upload = process.create("a.txt", 60_000)
        process.append(upload, 0, 10_000)
        make_older(root, upload)
        with pytest.raises(UploadGone):
            Process(root).uploads.status(upload, process.caller)
        assert process.used() == Amount()

    def test_its_published_file_counts_when_its_record_expires(
        self, process: Process, root: Path
    ) -> None:
        upload = process.create("a.txt", 10_000)
        process.append(upload, 0, 10_000)
        make_older(root, upload)
        process.uploads.sweep()
        assert process.used() == Amount(10_000, 1)


def test_an_upload_that_died_before_it_was_counted_is_counted_once_when_it_is_asked_for(
    process: Process, root: Path
) -> None:
    """At each line: its file may be published or not, and its record may say so or not."""
    for line in range(700, 3000, 61):
        name = f"{line}.txt"
        upload = process.create(name, 5000)
        if not killed_at(line, lambda upload=upload: Process(root).append(upload, 0, 5000)):
            break
        for _ in range(2):
            offset = Process(root).uploads.status(upload, process.caller).offset
        if offset < 5000:
            process.append(upload, offset, 5000 - offset)
        assert process.used().bytes >= 5000
        make_reservations_lapse(process.store)
        with pytest.raises(QuotaExceeded):
            Process(root, ALWAYS).put("huge.txt", 100_001)
        assert process.used() == Amount(5000, 1), line
        process.delete(name)
        assert process.used() == Amount(), line
    else:
        raise AssertionError("it was always killed")


class TestRecordThatCannotBeEnded:
    """The file is published, and its record still says that bytes are being received."""

    @pytest.fixture
    def upload(self, process: Process, monkeypatch: pytest.MonkeyPatch) -> str:
        def fail(_writer: LocalResumableWriter, _record: bytes) -> None:
            raise StorageUnavailable("the disk is read-only")

        upload = process.create("a.txt", 10_000)
        with monkeypatch.context() as failing:
            failing.setattr(LocalResumableWriter, "end", fail)
            process.append(upload, 0, 10_000)
        assert process.store.stat(NAME).size == 10_000
        assert process.used() == Amount(10_000, 1)
        return upload

    def test_its_file_counts_once_when_the_upload_is_asked_for(
        self, process: Process, root: Path, upload: str
    ) -> None:
        assert Process(root).uploads.status(upload, process.caller).has_ended
        assert process.used() == Amount(10_000, 1)

    def test_its_file_still_counts_when_the_upload_expires(
        self, process: Process, root: Path, upload: str
    ) -> None:
        make_older(root, upload)
        Process(root).uploads.sweep()
        assert process.used() == Amount(10_000, 1)

    def test_its_file_still_counts_when_the_upload_is_removed(
        self, process: Process, root: Path, upload: str
    ) -> None:
        Process(root).uploads.cancel(upload, process.caller)
        assert process.used() == Amount(10_000, 1)


def test_an_upload_begun_without_a_quota_gets_a_reservation_with_its_next_request(
    process: Process, root: Path
) -> None:
    quota = Quota()
    account = process.accounts.account(CI, lambda: quota)
    process.caller = Caller(CI, CI, account=account)
    upload = process.create("a.txt", 60_000)
    assert process.store.usage.read(CI) is None

    quota = QUOTA
    process.append(upload, 0, 1000)

    assert process.used() == Amount(60_000, 1)
    with pytest.raises(QuotaExceeded):
        Process(root).put("b.txt", 40_001)


def test_parts_begun_without_a_quota_cannot_be_concatenated_beyond_it(process: Process) -> None:
    quota = Quota()
    process.caller = Caller(CI, CI, account=process.accounts.account(CI, lambda: quota))
    parts = [process.create(None, 60_000) for _ in range(2)]
    for part in parts:
        process.append(part, 0, 60_000)
    quota = QUOTA
    with pytest.raises(QuotaExceeded):
        process.concatenate("a.txt", *parts)
    with pytest.raises(NotFound):
        process.store.stat(FileName.parse("a.txt"))
    process.concatenate("b.txt", parts[0])
    assert process.used().bytes == 60_000


def test_a_concatenation_that_fails_leaves_the_reservations_of_its_parts(process: Process) -> None:
    process.put("taken.txt", 1)
    parts = [process.create(None, 30_000) for _ in range(2)]
    for part in parts:
        process.append(part, 0, 30_000)
    with pytest.raises(Exception, match="already a file"):
        process.concatenate("taken.txt", *parts)
    assert process.used() == Amount(60_001, 1)
    process.concatenate("free.txt", *parts)
    assert process.used() == Amount(60_001, 2)


def test_a_type_that_is_refused_after_the_concatenation_gives_back_its_parts(
    process: Process,
) -> None:
    part = process.create(None, 30_000)
    process.append(part, 0, 30_000)
    with pytest.raises(Exception, match="content is"):
        process.concatenate("a.png", part)
    process.uploads.cancel(part, process.caller)
    assert process.used() == Amount()


def test_an_upload_that_is_refused_leaves_nothing_in_the_counter(process: Process) -> None:
    upload = process.create("a.png", 30_000)
    with pytest.raises(Exception, match="content is"):
        process.append(upload, 0, 30_000)
    assert counter_of(CI, process.store.usage.read(CI)).reservations == {}
