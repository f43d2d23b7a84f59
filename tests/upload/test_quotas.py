"""Quotas hold in every kind of upload."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from fileservice.access import Quota, QuotaExceeded
from fileservice.access.amounts import Amount
from fileservice.access.counter_records import counter_of
from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, StorageUnavailable
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import (
    ANY_VERSION,
    Caller,
    PreconditionNotMet,
    UploadGone,
    UploadRequest,
    receive,
    remove_expired_files,
)
from tests.access.test_accounts import make_reservations_lapse
from tests.upload.killed_at import killed_at
from tests.upload.quota_process import ALWAYS, CI, NAME, QUOTA, Process, expire
from tests.upload.resumable.process import make_older


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def process(root: Path) -> Process:
    return Process(root)


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
