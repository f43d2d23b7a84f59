"""Bounds on unfinished uploads: their number, whose they are, and the room promised to them."""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import NoSuchUpload, StorageFull
from fileservice.storage.local import LocalStore
from fileservice.upload import UploadPolicy, UploadRequest
from fileservice.upload.errors import TooManyUnfinished, TooManyUnfinishedOfClient, UploadGone
from fileservice.upload.resumable.service import ResumableUploads
from fileservice.upload.resumable.unfinished import UNBEGUN_SECONDS

MIB = 1 << 20
RULES = UploadPolicy(
    types=filetypes.TABLE,
    max_size=1 << 30,
    min_free=10 * MIB,
    digest=True,
    max_unfinished=10,
    max_unfinished_of_client=4,
)
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Store(LocalStore):
    """A store on a disk of 110 MiB, on which only unfinished uploads take room."""

    def free_space(self) -> int:
        return 110 * MIB - sum(
            found.reserved + found.size for found in self.uploads.list_unfinished()
        )


class Process:
    """A worker process; `names` are numbers."""

    def __init__(self, root: Path, policy: UploadPolicy = RULES) -> None:
        self.uploads = ResumableUploads(Store(root, fsync=False), policy, InlineExecutor(), 86400.0)
        self._number = 0

    def begin(self, client: str = HERE, length: int | None = 1000) -> str:
        self._number += 1
        name = FileName.parse(f"{id(self)}-{self._number}.txt")
        return self.uploads.create(UploadRequest(name, length), length, {}, client=client).upload

    def append(self, upload: str, data: bytes, *, length: int | None = None) -> None:
        self.uploads.append(
            upload, 0, [data], content_length=len(data), interrupt=lambda: None, length=length
        )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def process(root: Path) -> Process:
    return Process(root)


@pytest.fixture
def another(process: Process, root: Path) -> Process:
    return Process(root)


def grow_old(root: Path, upload: str, seconds: float = UNBEGUN_SECONDS + 1) -> None:
    for path in (root / ".fileservice/uploads").glob(f"{upload}*"):
        os.utime(path, (time.time() - seconds,) * 2)


def test_one_client_has_no_more_than_its_number_in_whatever_process(
    process: Process, another: Process
) -> None:
    for number in range(4):
        (process, another)[number % 2].begin()
    for each in (process, another):
        with pytest.raises(TooManyUnfinishedOfClient):
            each.begin()
        with pytest.raises(TooManyUnfinishedOfClient):
            each.uploads.create(None, 5, {}, client=HERE)  # nor parts
    another.begin(THERE)


def test_uploads_can_begin_once_a_store_that_could_not_be_prepared_can(root: Path) -> None:
    store = LocalStore(root, fsync=False, verified=True)  # it was read-only, and lacks all of ours
    root.mkdir()
    uploads = ResumableUploads(store, RULES, InlineExecutor(), 86400.0)
    assert uploads.create(UploadRequest(FileName.parse("a.txt"), 5), 5, {}).offset == 0


def test_all_clients_have_no_more_than_their_number(process: Process, another: Process) -> None:
    for number in range(10):
        (process, another)[number % 2].begin(f"192.0.2.{number}")
    for each in (process, another):
        with pytest.raises(TooManyUnfinished):
            each.begin("192.0.2.99")


@pytest.mark.parametrize("end", ["finish", "cancel", "refuse"])
def test_an_upload_that_has_ended_counts_no_more(
    process: Process, another: Process, end: str
) -> None:
    uploads = [process.begin() for _ in range(4)]
    with pytest.raises(TooManyUnfinishedOfClient):
        another.begin()
    if end == "finish":
        another.append(uploads[0], b"0123456789" * 100)
    elif end == "cancel":
        another.uploads.cancel(uploads[0])
    else:
        with pytest.raises(Exception, match="text"):
            another.append(uploads[0], bytes(1000))
    process.begin()
    with pytest.raises(TooManyUnfinishedOfClient):
        another.begin()


def test_the_repetition_of_a_file_that_is_stored_is_no_unfinished_upload(process: Process) -> None:
    digests = {"sha-256": hashlib.sha256(b"text").digest()}
    request = UploadRequest(FileName.parse("a.txt"), 4, digests=digests)
    process.append(process.uploads.create(request, 4, {}, client=HERE).upload, b"text")
    for _ in range(20):
        assert process.uploads.create(request, 4, {}, client=HERE).record.finished
    process.begin()


def test_repetitions_of_a_file_that_is_stored_keep_one_record_for_each_client(
    process: Process, another: Process, root: Path
) -> None:
    digests = {"sha-256": hashlib.sha256(b"text").digest()}
    request = UploadRequest(FileName.parse("a.txt"), 4, digests=digests)
    first = process.uploads.create(request, 4, {}, client=HERE).upload
    process.append(first, b"text")
    told = {
        each.uploads.create(request, 4, {}, client=client).upload
        for each in (process, another) * 5
        for client in (HERE, THERE)
    }
    assert len(told) == 2
    kept = [path.stem for path in (root / ".fileservice/ended").iterdir()]
    assert sorted(kept) == sorted({first, *told})
    assert not list((root / ".fileservice/uploads").iterdir())
    for upload in told:
        assert another.uploads.status(upload).offset == 4


def test_the_repetition_of_a_file_that_nobody_will_ask_for_keeps_nothing(
    process: Process, root: Path
) -> None:
    digests = {"sha-256": hashlib.sha256(b"text").digest()}
    request = UploadRequest(FileName.parse("a.txt"), 4, digests=digests)
    process.append(process.uploads.create(request, 4, {}, client=HERE).upload, b"text")
    kept = sorted((root / ".fileservice").rglob("*"))
    again = process.uploads.create(request, 4, {}, client=THERE, keep_finished=False)
    assert again.record.finished
    assert again.offset == 4
    assert sorted((root / ".fileservice").rglob("*")) == kept


@pytest.mark.parametrize(
    "addresses",
    [
        ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "192.0.2.1"],
        ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:1:2:3:4", "2001:0db8::ffff"],
        [""] * 4,
    ],
)
def test_addresses_that_one_client_can_choose_from_are_one(
    process: Process, addresses: list[str]
) -> None:
    for address in addresses:
        process.begin(address)
    with pytest.raises(TooManyUnfinishedOfClient):
        process.begin(addresses[0])
    process.begin("2001:db8:0:1::1")


def test_a_client_may_have_all_the_room_for_one_upload_and_half_of_it_for_more(
    process: Process, another: Process
) -> None:
    upload = process.begin(length=90 * MIB)
    with pytest.raises(StorageFull, match="promised"):
        another.begin(length=5 * MIB)
    process.uploads.cancel(upload)
    for _ in range(2):
        another.begin(length=25 * MIB)
    with pytest.raises(StorageFull, match="promised"):
        process.begin(length=2 * MIB)
    with pytest.raises(StorageFull, match="room left"):
        process.begin(THERE, length=80 * MIB)
    process.begin(THERE, length=45 * MIB)


def test_all_clients_have_three_quarters_of_the_room_for_more_than_one_upload_each(
    process: Process,
) -> None:
    for client in (HERE, THERE, "192.0.2.3"):
        process.begin(client, length=23 * MIB)
    process.begin(HERE, length=4 * MIB)
    with pytest.raises(StorageFull, match="promised"):
        process.begin(THERE, length=4 * MIB)
    process.begin("192.0.2.4", length=4 * MIB)


def test_what_is_stored_already_takes_no_room_again(process: Process, root: Path) -> None:
    name, digests = FileName.parse("a.txt"), {"sha-256": hashlib.sha256(b"text").digest()}
    first = process.uploads.create(UploadRequest(name, 4, digests=digests), 4, {}, client=HERE)
    process.append(first.upload, b"text")
    for _ in range(20):
        again = UploadRequest(name, 90 * MIB, digests=digests)
        assert process.uploads.create(again, 90 * MIB, {}, client=HERE).record.finished
    uploads = (root / ".fileservice/uploads").iterdir()
    assert sum(path.stat().st_blocks * 512 for path in uploads) < MIB


def test_bytes_that_are_dropped_take_their_room_with_them_unless_more_were_announced(
    process: Process, root: Path
) -> None:
    def damaged() -> Iterator[bytes]:
        yield b"text" * MIB
        raise ValueError("the checksum does not match")

    held = {}
    for length in (None, 4 * MIB):
        upload = process.begin(length=length)
        with pytest.raises(ValueError, match="checksum"):
            process.uploads.append(
                upload, 0, damaged(), content_length=None, interrupt=lambda: None, atomic=True
            )
        held[length] = (root / ".fileservice/uploads" / upload).stat().st_blocks * 512
    assert held[None] < MIB
    assert held[4 * MIB] >= 4 * MIB


def test_room_for_bytes_that_have_arrived_is_not_promised_any_more(process: Process) -> None:
    first = process.begin(length=45 * MIB)
    with pytest.raises(StorageFull, match="promised"):
        process.begin(length=10 * MIB)
    process.append(first, b"text" * (6 * MIB))
    process.begin(length=10 * MIB)


def test_uploads_all_of_whose_bytes_have_arrived_have_no_room_promised(process: Process) -> None:
    for _ in range(3):
        part = process.uploads.create(None, 4, {}, client=HERE).upload
        process.append(part, b"text")
    process.begin(length=90 * MIB)


def test_a_length_that_is_declared_later_is_bounded_as_well(process: Process) -> None:
    first, second = process.begin(length=None), process.begin(length=None)
    process.append(first, b"", length=40 * MIB)
    with pytest.raises(StorageFull, match="promised"):
        process.append(second, b"", length=20 * MIB)
    process.append(second, b"", length=4 * MIB)


def test_an_upload_without_a_byte_is_kept_for_minutes_and_one_with_bytes_for_longer(
    process: Process, another: Process, root: Path
) -> None:
    unbegun, begun = process.begin(), process.begin()
    process.append(begun, b"text")
    until = process.uploads.status(unbegun).expires - time.time()
    assert UNBEGUN_SECONDS - 10 < until <= UNBEGUN_SECONDS
    assert process.uploads.status(begun).expires - time.time() > 86000
    for upload in (unbegun, begun):
        grow_old(root, upload)
    another.uploads.sweep_unbegun()
    with pytest.raises(NoSuchUpload):
        process.uploads.status(unbegun)
    assert process.uploads.status(begun).offset == 4
    assert not [*(root / ".fileservice/uploads").glob(f"{unbegun}*")]


def test_an_upload_whose_first_byte_is_on_its_way_is_not_taken_from_its_writer(
    process: Process, another: Process, root: Path
) -> None:
    upload = process.begin()

    def blocks():
        grow_old(root, upload)
        another.uploads.sweep_unbegun()
        another.uploads.sweep()
        yield b"text"

    process.uploads.append(upload, 0, blocks(), content_length=4, interrupt=lambda: None)
    assert another.uploads.status(upload).offset == 4


def test_one_that_has_expired_counts_no_more_though_nobody_has_swept(
    process: Process, root: Path
) -> None:
    uploads = [process.begin() for _ in range(4)]
    for upload in uploads:
        grow_old(root, upload)
    process.begin()
    with pytest.raises((UploadGone, NoSuchUpload)):
        process.uploads.status(uploads[0])


def test_without_bounds_any_number_may_be_unfinished(root: Path) -> None:
    process = Process(root, replace(RULES, max_unfinished=None, max_unfinished_of_client=None))
    for _ in range(30):
        process.begin()


def test_an_addition_of_no_bytes_tells_no_later_expiry(process: Process) -> None:
    upload = process.begin()
    told = process.uploads.status(upload).expires
    status = process.uploads.append(upload, 0, [], content_length=0, interrupt=lambda: None)
    assert status.expires == told
