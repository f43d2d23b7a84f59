"""Limits: the number of unfinished uploads, in all and of a client, and the space reserved."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.names import FileName
from fileservice.storage import StorageFull
from fileservice.storage.local import LocalStore
from fileservice.upload import (
    Caller,
    ContentMismatch,
    TooManyUnfinished,
    TooManyUnfinishedOfClient,
    UploadGone,
    UploadPolicy,
    UploadRequest,
    UploadState,
    UploadStatus,
)
from fileservice.upload.resumable.repository import EMPTY_UPLOAD_EXPIRY
from tests.upload.resumable.process import (
    ConnectionCut,
    Process,
    cut_after,
    make_older,
    upload_path,
)

MIB = 1 << 20
POLICY = UploadPolicy(
    types=filetypes.TABLE,
    max_size=1 << 30,
    min_free=10 * MIB,
    digest=True,
    max_unfinished=10,
    max_unfinished_of_client=4,
)
CLIENT, OTHER_CLIENT = "192.0.2.1", "192.0.2.2"
TEXT = b"text"


class SmallStore(LocalStore):
    """A store on a disk of 110 MiB, of which only unfinished uploads take space."""

    def free_space(self) -> int:
        return 110 * MIB - sum(
            upload.reserved + (upload.size or 0) for upload in self.uploads.list_unfinished()
        )


class LimitedProcess(Process):
    """A worker process that gives each upload a name of its own."""

    _count = 0

    def __init__(self, store_path: Path, policy: UploadPolicy = POLICY) -> None:
        super().__init__(store_path, policy, store_class=SmallStore)

    def create_for(self, client: str = CLIENT, length: int | None = 1000) -> str:
        LimitedProcess._count += 1
        return self.create(length, FileName.parse(f"{self._count}.txt"), client)


@pytest.fixture
def process(store_path: Path) -> LimitedProcess:
    return LimitedProcess(store_path)


@pytest.fixture
def other_process(process: LimitedProcess, store_path: Path) -> LimitedProcess:
    return LimitedProcess(store_path)


class TestNumber:
    def test_client_cannot_exceed_its_number_in_any_process(
        self, process: LimitedProcess, other_process: LimitedProcess
    ) -> None:
        for number in range(4):
            (process, other_process)[number % 2].create_for()
        for each in (process, other_process):
            with pytest.raises(TooManyUnfinishedOfClient):
                each.create_for()
            with pytest.raises(TooManyUnfinishedOfClient):
                each.uploads.create(None, 5, {}, caller=Caller(client=CLIENT))
        other_process.create_for(OTHER_CLIENT)

    def test_all_clients_cannot_exceed_their_number(
        self, process: LimitedProcess, other_process: LimitedProcess
    ) -> None:
        for number in range(10):
            (process, other_process)[number % 2].create_for(f"192.0.2.{number}")
        for each in (process, other_process):
            with pytest.raises(TooManyUnfinished):
                each.create_for("192.0.2.99")

    @pytest.mark.parametrize("end", ["publish", "cancel", "reject"])
    def test_upload_that_has_ended_does_not_count(
        self, process: LimitedProcess, other_process: LimitedProcess, end: str
    ) -> None:
        uploads = [process.create_for() for _ in range(4)]
        with pytest.raises(TooManyUnfinishedOfClient):
            other_process.create_for()
        if end == "publish":
            other_process.append(uploads[0], 0, b"0123456789" * 100)
        elif end == "cancel":
            other_process.uploads.cancel(uploads[0])
        else:
            with pytest.raises(ContentMismatch):
                other_process.append(uploads[0], 0, bytes(1000))

        process.create_for()

        with pytest.raises(TooManyUnfinishedOfClient):
            other_process.create_for()

    def test_upload_that_repeats_a_stored_file_does_not_count(
        self, process: LimitedProcess
    ) -> None:
        for _ in range(20):
            assert create_repetition(process, 4).state is UploadState.PUBLISHED
        process.create_for()

    def test_repetitions_of_a_stored_file_have_one_record_for_each_client(
        self, process: LimitedProcess, other_process: LimitedProcess, store_path: Path
    ) -> None:
        create_repetition(process, 4)
        ended = store_path / ".fileservice/ended"
        before = {path.stem for path in ended.iterdir()}
        repetitions = {
            create_repetition(each, 4, client).upload
            for each in (process, other_process) * 5
            for client in ("192.0.2.3", OTHER_CLIENT)
        }

        assert len(repetitions) == 2
        assert {path.stem for path in ended.iterdir()} == before | repetitions
        assert not list((store_path / ".fileservice/uploads").iterdir())
        for upload in repetitions:
            assert other_process.uploads.status(upload).offset == 4

    def test_repetition_that_is_not_to_be_kept_stores_nothing(
        self, process: LimitedProcess, store_path: Path
    ) -> None:
        create_repetition(process, 4)
        before = sorted((store_path / ".fileservice").rglob("*"))

        status = create_repetition(process, 4, OTHER_CLIENT, keep_published=False)

        assert status.state is UploadState.PUBLISHED
        assert status.offset == 4
        assert sorted((store_path / ".fileservice").rglob("*")) == before

    @pytest.mark.parametrize(
        "addresses",
        [
            ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "192.0.2.1"],
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:1:2:3:4", "2001:0db8::ffff"],
            [""] * 4,
        ],
    )
    def test_addresses_that_one_client_can_choose_from_count_as_one(
        self, process: LimitedProcess, addresses: list[str]
    ) -> None:
        for address in addresses:
            process.create_for(address)
        with pytest.raises(TooManyUnfinishedOfClient):
            process.create_for(addresses[0])
        process.create_for("2001:db8:0:1::1")

    def test_expired_upload_does_not_count_before_it_is_swept(
        self, process: LimitedProcess, store_path: Path
    ) -> None:
        uploads = [process.create_for() for _ in range(4)]
        for upload in uploads:
            make_older(store_path, upload, EMPTY_UPLOAD_EXPIRY + 1)

        process.create_for()

        with pytest.raises(UploadGone):
            process.uploads.status(uploads[0])

    def test_without_limits_any_number_may_be_unfinished(self, store_path: Path) -> None:
        unlimited = replace(POLICY, max_unfinished=None, max_unfinished_of_client=None)
        process = LimitedProcess(store_path, unlimited)
        for _ in range(30):
            process.create_for()


class TestSpace:
    def test_client_may_reserve_all_space_for_one_upload_and_half_of_it_for_more(
        self, process: LimitedProcess, other_process: LimitedProcess
    ) -> None:
        upload = process.create_for(length=90 * MIB)
        with pytest.raises(StorageFull, match="reserved"):
            other_process.create_for(length=5 * MIB)
        process.uploads.cancel(upload)
        for _ in range(2):
            other_process.create_for(length=25 * MIB)
        with pytest.raises(StorageFull, match="reserved"):
            process.create_for(length=2 * MIB)
        with pytest.raises(StorageFull, match="space left"):
            process.create_for(OTHER_CLIENT, length=80 * MIB)
        process.create_for(OTHER_CLIENT, length=45 * MIB)

    def test_all_clients_may_reserve_three_quarters_of_the_space_for_more_than_one_each(
        self, process: LimitedProcess
    ) -> None:
        for client in (CLIENT, OTHER_CLIENT, "192.0.2.3"):
            process.create_for(client, length=23 * MIB)
        process.create_for(CLIENT, length=4 * MIB)
        with pytest.raises(StorageFull, match="reserved"):
            process.create_for(OTHER_CLIENT, length=4 * MIB)
        process.create_for("192.0.2.4", length=4 * MIB)

    def test_upload_that_repeats_a_stored_file_reserves_nothing(
        self, process: LimitedProcess, store_path: Path
    ) -> None:
        for _ in range(20):
            assert create_repetition(process, 90 * MIB).state is UploadState.PUBLISHED
        paths = (store_path / ".fileservice/uploads").iterdir()
        assert sum(path.stat().st_blocks * 512 for path in paths) < MIB

    @pytest.mark.parametrize("length", [None, 4 * MIB])
    def test_dropped_bytes_free_their_space_unless_the_length_is_declared(
        self, process: LimitedProcess, store_path: Path, length: int | None
    ) -> None:
        upload = process.create_for(length=length)
        with pytest.raises(ConnectionCut):
            process.append_body(upload, 0, cut_after(TEXT * MIB), atomic=True)

        space = upload_path(store_path, upload).stat().st_blocks * 512

        if length is None:
            assert space < MIB
        else:
            assert space >= length

    def test_space_of_bytes_that_arrived_is_not_reserved_any_more(
        self, process: LimitedProcess
    ) -> None:
        first = process.create_for(length=45 * MIB)
        with pytest.raises(StorageFull, match="reserved"):
            process.create_for(length=10 * MIB)
        process.append(first, 0, TEXT * (6 * MIB))
        process.create_for(length=10 * MIB)

    def test_uploads_with_all_their_bytes_have_nothing_reserved(
        self, process: LimitedProcess
    ) -> None:
        for _ in range(3):
            part = process.uploads.create(None, 4, {}, caller=Caller(client=CLIENT)).upload
            process.append(part, 0, TEXT)
        process.create_for(length=90 * MIB)

    def test_length_that_is_declared_later_has_the_same_limits(
        self, process: LimitedProcess
    ) -> None:
        first, second = process.create_for(length=None), process.create_for(length=None)
        process.append(first, 0, length=40 * MIB)
        with pytest.raises(StorageFull, match="reserved"):
            process.append(second, 0, length=20 * MIB)
        process.append(second, 0, length=4 * MIB)

    def test_space_reserved_ahead_is_released_when_a_body_is_cut(
        self, process: LimitedProcess, store_path: Path
    ) -> None:
        def body() -> Iterator[bytes]:
            for _ in range(5):
                yield TEXT * (MIB // 4)
            raise ConnectionCut

        upload = process.create_for(length=None)
        with pytest.raises(ConnectionCut):
            process.append_body(upload, 0, body())

        status = upload_path(store_path, upload).stat()
        assert status.st_blocks * 512 - status.st_size < MIB // 4


def create_repetition(
    process: LimitedProcess, length: int, client: str = CLIENT, *, keep_published: bool = True
) -> UploadStatus:
    """Create an upload for a file that is stored already; store it if it is not."""
    name, digests = FileName.parse("a.txt"), {"sha-256": hashlib.sha256(TEXT).digest()}
    if not process.store.is_taken(name):
        process.append(process.create(4, name), 0, TEXT)
    request = UploadRequest(name, length, digests=digests)
    return process.uploads.create(
        request, length, {}, keep_published=keep_published, caller=Caller(client=client)
    )
