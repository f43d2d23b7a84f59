"""Resumable uploads in a bucket: their pieces, their records and their release requests."""

import itertools
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fileservice.storage import (
    Locked,
    NoSuchUpload,
    NotFound,
    StorageUnavailable,
)
from fileservice.storage.s3 import records, uploads
from fileservice.storage.s3.assembly import plan_parts
from fileservice.storage.s3.listing import ListedObject
from fileservice.storage.s3.locker import S3Locker
from fileservice.storage.s3.pieces import Piece
from fileservice.storage.s3.store import S3Store
from fileservice.upload import AppendRequest, UploadRequest
from fileservice.upload.errors import TooLarge, UploadGone
from fileservice.upload.resumable.record import UploadRecord
from fileservice.upload.resumable.repository import UploadRepository
from tests.storage.s3.conftest import EXPIRED, OpenStore
from tests.storage.s3.resumable import append, context, resumable_uploads
from tests.storage.store_contract import NAME, compete, content_of, read
from tests.support.rows import every_row
from tests.support.wire import eventually

MIB = 1 << 20


def test_another_process_continues_and_publishes_an_upload(
    store: S3Store, another_store: S3Store
) -> None:
    upload = store.uploads.create(b"record", None)
    data = secrets.token_bytes(MIB) * 18
    first = store.locker.lock(upload)
    first.write(data[: 10 * MIB])
    first.sync()
    first.write(b"never synced")
    with pytest.raises(Locked):
        another_store.locker.lock(upload)
    first.truncate(10 * MIB)
    first.close()

    assert another_store.uploads.read(upload).size == 10 * MIB
    second = another_store.locker.lock(upload)
    second.write(data[10 * MIB :])
    second.sync()
    assert second.read_at(1 << 25, 0) == data
    file = second.publish(NAME, content_of(data))
    second.close()
    assert read(store, NAME) == data
    assert store.stat(NAME) == file
    assert file.content == content_of(data)


def test_publishing_again_after_the_process_died_returns_the_same_file(
    store: S3Store, another_store: S3Store
) -> None:
    upload = store.uploads.create(b"record", None)
    data = secrets.token_bytes(9 * MIB)
    first = store.locker.lock(upload)
    first.write(data)
    file = first.publish(NAME, content_of(data))
    first.close()  # the process dies before it records that

    second = another_store.locker.lock(upload)
    try:
        assert second.publish(NAME, content_of(data)) == file
    finally:
        second.close()
    store.uploads.remove(upload)
    with pytest.raises(NoSuchUpload):
        another_store.uploads.read(upload)


def test_one_of_many_that_lock_an_upload_succeeds(store: S3Store, another_store: S3Store) -> None:
    upload = store.uploads.create(b"record", None)

    def lock(number: int) -> object:
        try:
            return (store, another_store)[number % 2].locker.lock(upload)
        except Locked as error:
            return error

    results = compete(lock)
    [winner] = [result for result in results if not isinstance(result, Locked)]
    winner.close()  # type: ignore[attr-defined]
    store.locker.lock(upload).close()


@pytest.mark.parametrize("copy", ["true", pytest.param("false", marks=pytest.mark.thorough)])
def test_small_pieces_are_joined_in_their_order(open_s3: OpenStore, copy: str) -> None:
    store = open_s3(copy=copy)
    upload = store.uploads.create(b"record", None)
    data = secrets.token_bytes(MIB) * 26
    writer = store.locker.lock(upload)
    ends = [0, 3, 9 * MIB, 9 * MIB + 1, 12 * MIB, 25 * MIB, 26 * MIB]
    for begin, end in itertools.pairwise(ends):
        writer.write(data[begin:end])
        writer.sync()
    writer.publish(NAME, content_of(data))
    writer.close()
    assert read(store, NAME) == data


def test_more_pieces_than_an_object_may_have_parts_are_joined() -> None:
    size = 5 * MIB
    pieces = [Piece(f"f/{n}", n * size, size) for n in range(10_100)]
    parts = plan_parts(pieces, copies=True)
    assert 0 < len(parts) <= 10_000
    assert [part.first for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == 10_100 * size
    assert all(part.end - part.first >= size for part in parts[:-1])


def test_release_request_reaches_another_process(store: S3Store, another_store: S3Store) -> None:
    upload = store.uploads.create(b"record", None)
    store.locker.request_release(upload)
    assert another_store.locker.release_requests() == [upload]
    store.locker.cancel_release_request(upload)
    assert another_store.locker.release_requests() == []


def test_release_request_of_a_dead_process_lapses(store: S3Store, open_s3: OpenStore) -> None:
    upload = store.uploads.create(b"record", None)
    store.locker.request_release(upload)
    assert open_s3(release_request=EXPIRED).locker.release_requests() == []
    assert store.locker.release_requests() == []


def test_release_request_that_cannot_be_cancelled_does_not_lock_the_upload(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = resumable_uploads(store), resumable_uploads(another_store)
    upload = one.create(UploadRequest(NAME, 100), 100, {}).upload
    held = store.locker.lock(upload)
    request_release = S3Locker.request_release

    def request_and_release(self: S3Locker, upload: str) -> None:
        request_release(self, upload)
        held.close()

    def fail(self: S3Locker, upload: str) -> None:
        raise StorageUnavailable("it does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(S3Locker, "request_release", request_and_release)
        patch.setattr(S3Locker, "cancel_release_request", fail)
        assert append(two, upload, 0, b"x" * 10, preempt=True).offset == 10
    store.locker.lock(upload).close()
    assert append(one, upload, 10, b"x" * 10).offset == 20


def test_request_that_preempts_is_not_interrupted_by_its_own_release_request(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker looks for release requests, and its answer arrives after the lock was passed on.

    The steps: the first request is interrupted; a second answer with the release request is held
    back until the second request writes; then that request must go on.
    """
    uploads = resumable_uploads(store)
    upload = uploads.create(UploadRequest(NAME, 100), 100, {}).upload
    receives, interrupted, asked_again, second_receives, looked = (
        threading.Event() for _ in range(5)
    )
    second_interrupted = threading.Event()
    release_requests = S3Locker.release_requests

    def late(self: S3Locker) -> list[str]:
        requests = release_requests(self)
        if second_receives.is_set():
            looked.set()  # the answer that was late has been acted on
        elif interrupted.is_set() and requests:
            asked_again.set()
            assert second_receives.wait(60)
        return requests

    monkeypatch.setattr(S3Locker, "release_requests", late)

    def first_body() -> Iterator[bytes]:
        yield b"first"
        receives.set()
        assert interrupted.wait(60)
        assert asked_again.wait(60)

    def second_body() -> Iterator[bytes]:
        yield b"second"
        second_receives.set()
        assert looked.wait(60)
        yield b"third"

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(
            uploads.append, upload, AppendRequest(0, first_body(), None, interrupted.set)
        )
        assert receives.wait(60)
        uploads.append(
            upload,
            AppendRequest(5, second_body(), None, second_interrupted.set, preempt=True),
        )
        first.result(60)
    assert looked.is_set()
    assert not second_interrupted.is_set()
    assert uploads.status(upload).offset == len(b"firstsecondthird")


def test_record_and_bytes_are_read_as_of_one_moment(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"unfinished", None)
    writer = another_store.locker.lock(upload)
    writer.write(b"bytes")
    writer.sync()
    list_objects = uploads.list_objects

    def end_first(*arguments) -> list[ListedObject]:
        monkeypatch.setattr(uploads, "list_objects", list_objects)
        writer.end(b"finished")
        return list_objects(*arguments)

    monkeypatch.setattr(uploads, "list_objects", end_first)
    stored = store.uploads.read(upload)
    assert (stored.record, stored.size) == (b"finished", 0)
    writer.close()


def test_upload_whose_writer_died_expires(suspended_store: S3Store, open_s3: OpenStore) -> None:
    upload = suspended_store.uploads.create(UploadRecord(NAME, 10, {}).to_bytes(), 10)
    dead = suspended_store.locker.lock(upload)
    dead.write(b"bytes")
    dead.sync()
    store = open_s3(lease=EXPIRED)
    with pytest.raises(UploadGone):
        UploadRepository(context(store), expiry=EXPIRED).read(upload)
    assert store.uploads.read(upload).size == 0
    dead.close()


def test_file_never_gets_the_digest_of_other_bytes(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = resumable_uploads(store), resumable_uploads(another_store)
    first, second, rest = b"first version\n" * 10, b"other version\n" * 10, b"and the rest\n"
    length = len(first) + len(rest)
    upload = one.create(UploadRequest(NAME, length), length, {}).upload
    replace, failed = records.replace, []

    def fail_once(client: object, upload: str, record: bytes, etag: str) -> str:
        if b'"verified_size": null' in record and not failed:
            failed.append(record)
            raise StorageUnavailable("it does not answer")
        return replace(client, upload, record, etag)  # type: ignore[arg-type]

    monkeypatch.setattr(records, "replace", fail_once)
    with pytest.raises(StorageUnavailable):
        append(one, upload, 0, first, atomic=True)
    assert failed
    assert two.status(upload).offset == 0
    assert append(two, upload, 0, second, atomic=True).offset == len(second)
    status = append(one, upload, len(second), rest)
    assert read(store, NAME) == second + rest
    assert status.file
    assert status.file.content.sha256 == content_of(second + rest).sha256


def test_acknowledged_offset_stays_though_too_many_bytes_follow(
    open_s3: OpenStore, another_store: S3Store
) -> None:
    store = open_s3(heartbeat_interval=0.05, flush_idle=0.05)
    one, two = resumable_uploads(store), resumable_uploads(another_store)
    upload = one.create(UploadRequest(NAME, 20 * MIB), 20 * MIB, {}).upload
    acknowledged = []

    def body() -> Iterator[bytes]:
        yield b"x" * (8 * MIB)
        yield b"x" * MIB
        eventually(lambda: two.status(upload).offset == 9 * MIB, 30)
        acknowledged.append(two.status(upload).offset)
        yield b"x" * (12 * MIB)

    with pytest.raises(TooLarge):
        one.append(upload, AppendRequest(0, body(), None, lambda: None))
    assert two.status(upload).offset >= acknowledged[0]


def test_unreadable_upload_is_removed_once_it_was_idle(
    store: S3Store, another_store: S3Store
) -> None:
    upload = store.uploads.create(b"record", None)
    store.uploads.remove_unreadable(upload, 60.0)
    assert another_store.uploads.read_record(upload) == b"record"
    store.uploads.remove_unreadable(upload, EXPIRED)
    with pytest.raises(NoSuchUpload):
        another_store.uploads.read_record(upload)


@every_row("upload", ["", "../record", "0" * 31, "G" * 32])
def test_text_that_is_no_id_names_no_upload(store: S3Store, upload: str) -> None:
    for call in (
        store.uploads.read,
        store.uploads.read_record,
        store.uploads.bytes_written,
        store.uploads.remove,
        store.locker.lock,
        store.locker.request_release,
    ):
        with pytest.raises(NoSuchUpload):
            call(upload)
    with pytest.raises(NotFound):
        store.stat(NAME)


def test_upload_that_another_process_publishes_just_before_the_lock_is_given_has_ended(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = resumable_uploads(store), resumable_uploads(another_store)
    data = b"some text"
    upload = one.create(UploadRequest(NAME, len(data)), len(data), {}).upload
    lock = another_store.locker.lock

    def publish_before_lock(upload: str) -> object:
        monkeypatch.setattr(another_store.locker, "lock", lock)
        assert append(one, upload, 0, data).file
        return lock(upload)

    monkeypatch.setattr(another_store.locker, "lock", publish_before_lock)
    status = append(two, upload, len(data))  # nothing, at the end
    assert status.file
    assert status.file.size == status.offset == len(data)
