"""Writers that were suspended until another writer took their upload over.

`suspended_store` renews no lease, and for `succeeding_store` every lease has expired.
"""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fileservice.storage import (
    Content,
    Locked,
    NotFound,
    StorageError,
    StorageUnavailable,
)
from fileservice.storage.s3 import lease as lease_module
from fileservice.storage.s3 import records
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import PreconditionFailed
from fileservice.storage.s3.layout import LEASES, piece_key, upload_folder
from fileservice.storage.s3.lease import Lease
from fileservice.storage.s3.store import S3Store
from fileservice.upload import AppendRequest, UploadRequest
from tests.storage.s3.conftest import EXPIRED, ManualHeartbeat, OpenStore
from tests.storage.s3.resumable import append, resumable_uploads
from tests.storage.store_contract import NAME, content_of
from tests.support.clock import Clock
from tests.support.wire import eventually

MIB = 1 << 20


def test_suspended_writer_changes_no_bytes(
    suspended_store: S3Store, succeeding_store: S3Store
) -> None:
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    late.write(b"late")
    writer = succeeding_store.locker.lock(upload)
    writer.write(b"writer")
    writer.sync()
    with pytest.raises(Locked):
        late.sync()
    writer.close()
    late.close()
    assert succeeding_store.uploads.read(upload).size == len(b"writer")


def test_suspended_writer_truncates_and_publishes_nothing(
    suspended_store: S3Store, succeeding_store: S3Store
) -> None:
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    late.write(secrets.token_bytes(9 * MIB))
    late.sync()
    writer = succeeding_store.locker.lock(upload)
    with pytest.raises(Locked):
        late.truncate(0)
    with pytest.raises(Locked):
        late.publish(NAME, Content("text/plain"))
    late.close()
    assert succeeding_store.uploads.read(upload).size == 9 * MIB
    assert writer.publish(NAME, Content("text/plain")).size == 9 * MIB
    writer.close()


def test_suspended_writer_publishes_no_file_that_is_stored_by_one_request(
    suspended_store: S3Store, succeeding_store: S3Store
) -> None:
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    late.write(b"small")
    late.sync()
    writer = succeeding_store.locker.lock(upload)
    with pytest.raises(Locked):
        late.publish(NAME, Content("text/plain"))
    late.close()
    with pytest.raises(NotFound):
        succeeding_store.stat(NAME)
    assert writer.publish(NAME, Content("text/plain")).size == 5
    writer.close()


@pytest.mark.parametrize("record", [b"record", b"another"])
def test_suspended_writer_changes_no_record(
    suspended_store: S3Store, succeeding_store: S3Store, record: bytes
) -> None:
    """It may not even replace one that has the same text as the one it knows."""
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    writer = succeeding_store.locker.lock(upload)
    writer.write(b"bytes")
    writer.sync()
    if record != b"record":
        writer.update(record)
    for change in (late.update, late.end):
        with pytest.raises(Locked):
            change(b"late")
    late.close()
    stored = succeeding_store.uploads.read(upload)
    assert (stored.record, stored.size) == (record, 5)
    writer.end(b"ended")
    writer.close()
    stored = succeeding_store.uploads.read(upload)
    assert (stored.record, stored.size) == (b"ended", 0)


def test_lock_that_could_not_be_fenced_is_fenced_by_the_next_one(
    suspended_store: S3Store,
    another_store: S3Store,
    succeeding_store: S3Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A is suspended; B takes over, but the bucket fails just then; C has the lock; A goes on."""
    upload = suspended_store.uploads.create(b"record", None)
    a = suspended_store.locker.lock(upload)

    def fail(*_: object) -> None:
        raise StorageUnavailable("it does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(records, "fence", fail)
        with pytest.raises(StorageUnavailable):
            succeeding_store.locker.lock(upload)  # B
    with pytest.raises(Locked):
        another_store.locker.lock(upload)  # the lease of B has to expire
    c = succeeding_store.locker.lock(upload)
    c.write(b"bytes")
    c.sync()
    c.close()
    assert another_store.uploads.read(upload).size == 5
    with pytest.raises(Locked):
        a.end(b"ended")
    stored = another_store.uploads.read(upload)
    assert (stored.record, stored.size) == (b"record", 5)


def test_late_piece_of_an_upload_that_was_ended_raises_a_storage_error(
    suspended_store: S3Store, succeeding_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The piece is rejected since another writer wrote one; that writer then ends the upload."""
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    writer = succeeding_store.locker.lock(upload)
    writer.write(b"bytes")
    writer.sync()
    put_object, rejected = S3Client.put_object, []

    def end_after_the_rejection(self: S3Client, key: str, data: bytes, **options) -> str:
        try:
            return put_object(self, key, data, **options)
        except PreconditionFailed:
            if self is suspended_store.client and not rejected:
                rejected.append(key)
                writer.end(b"ended")
            raise

    monkeypatch.setattr(S3Client, "put_object", end_after_the_rejection)
    late.write(b"late")
    try:
        with pytest.raises(StorageError):
            late.sync()
    finally:
        late.close()
        writer.close()
    assert rejected == [piece_key(upload_folder(upload), 0)]


def test_reading_bytes_that_another_writer_removed_raises_a_storage_error(
    suspended_store: S3Store, succeeding_store: S3Store
) -> None:
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    late.write(b"bytes")
    late.sync()
    writer = succeeding_store.locker.lock(upload)
    writer.end(b"ended")
    writer.close()
    try:
        with pytest.raises(StorageUnavailable, match="are missing"):
            late.read_at(5, 0)
    finally:
        late.close()


def test_upload_that_was_cancelled_while_it_was_copied_is_not_published(
    suspended_store: S3Store, succeeding_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = suspended_store.uploads.create(b"record", None)
    late = suspended_store.locker.lock(upload)
    data = secrets.token_bytes(9 * MIB)
    late.write(data)
    late.sync()
    upload_part, first = S3Client.upload_part, threading.Lock()

    def remove_after_the_first(self: S3Client, *arguments) -> str:
        etag = upload_part(self, *arguments)
        if first.acquire(blocking=False):
            writer = succeeding_store.locker.lock(upload)
            succeeding_store.uploads.remove(upload)  # DELETE was answered with 204
            writer.close()
        return etag

    monkeypatch.setattr(S3Client, "upload_part", remove_after_the_first)
    try:
        with pytest.raises(Locked):
            late.publish(NAME, content_of(data))
    finally:
        late.close()
    assert first.locked()
    with pytest.raises(NotFound):
        succeeding_store.stat(NAME)


def test_bytes_in_memory_are_not_sent_after_the_lock_was_lost(
    open_s3: OpenStore, succeeding_store: S3Store
) -> None:
    """They would follow the bytes that the next writer acknowledged, and may be damaged."""
    heartbeat = ManualHeartbeat()
    store = open_s3(heartbeat=heartbeat, lease_trusted=EXPIRED, flush_idle=0.0)
    upload = store.uploads.create(b"record", None)
    late = store.locker.lock(upload)
    late.write(b"01234")
    late.sync()
    late.write(b"damaged")
    writer = succeeding_store.locker.lock(upload)
    heartbeat.beat()
    for call in (lambda: late.write(b"more"), late.sync):
        with pytest.raises(Locked):
            call()
    late.close()
    writer.close()
    assert succeeding_store.uploads.read(upload).size == 5


def test_bytes_in_memory_are_sent_by_the_heartbeat(
    open_s3: OpenStore, another_store: S3Store
) -> None:
    heartbeat = ManualHeartbeat()
    store = open_s3(heartbeat=heartbeat, flush_idle=0.0)
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"01234")
    assert another_store.uploads.read(upload).size == 0
    heartbeat.beat()
    eventually(lambda: another_store.uploads.read(upload).size == 5)
    writer.close()


def test_new_writer_that_is_suspended_removes_nothing_of_the_next_one(
    open_s3: OpenStore, succeeding_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found a piece out of line, which the next writer has replaced by one in line."""
    store = open_s3(heartbeat=ManualHeartbeat(), lease_trusted=EXPIRED)
    upload = store.uploads.create(b"record", None)
    store.client.put_object(piece_key(upload_folder(upload), 5), b"out of line")
    ensure_held, suspended = Lease.ensure_held, []

    def be_suspended_before(self: Lease) -> None:
        if not suspended:
            suspended.append(self)
            writer = succeeding_store.locker.lock(upload)
            for block in (b"12345", b"67890"):
                writer.write(block)
                writer.sync()
            writer.close()
            assert succeeding_store.uploads.read(upload).size == 10
        ensure_held(self)

    monkeypatch.setattr(Lease, "ensure_held", be_suspended_before)
    with pytest.raises(Locked):
        store.locker.lock(upload)
    assert suspended
    assert succeeding_store.uploads.read(upload).size == 10


def test_offset_is_not_acknowledged_by_a_writer_that_lost_its_lock(
    open_s3: OpenStore, succeeding_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A is suspended before its piece; B takes over, with a checksum, and waits for its bytes."""
    store = open_s3(heartbeat=ManualHeartbeat(), lease_trusted=EXPIRED)
    one, two = resumable_uploads(store), resumable_uploads(succeeding_store)
    upload = one.create(UploadRequest(NAME, 100), 100, {}).upload
    put_object = S3Client.put_object
    b_receives, a_failed = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        b_receives.set()
        assert a_failed.wait(60)
        yield b"x" * 20

    def b() -> object:
        return two.append(
            upload,
            AppendRequest(0, body(), content_length=20, interrupt=lambda: None, atomic=True),
        )

    with ThreadPoolExecutor(1) as thread:
        futures = []

        def be_suspended(self: S3Client, key: str, data: bytes, **options) -> str:
            if not futures and key == piece_key(upload_folder(upload), 0):
                futures.append(thread.submit(b))
                assert b_receives.wait(60)
            return put_object(self, key, data, **options)

        monkeypatch.setattr(S3Client, "put_object", be_suspended)
        with pytest.raises(Locked):
            append(one, upload, 0, b"x" * 10)
        a_failed.set()
        assert futures[0].exception(60) is None or isinstance(futures[0].exception(), StorageError)
    assert two.status(upload).offset in (0, 20)


def test_publication_that_takes_long_costs_no_writer_its_lock(
    open_s3: OpenStore, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both leases are renewed several times while the publication is held up."""
    store = open_s3(heartbeat_interval=0.1, lease_renewal=0.0)
    publishing, receiving = (store.uploads.create(b"record", None) for _ in range(2))
    large, other = store.locker.lock(publishing), store.locker.lock(receiving)
    large.write(secrets.token_bytes(9 * MIB))
    copying, renewed = threading.Event(), threading.Event()
    upload_part = S3Client.upload_part

    def wait_first(self: S3Client, *arguments) -> str:
        copying.set()
        assert renewed.wait(60)
        return upload_part(self, *arguments)

    monkeypatch.setattr(S3Client, "upload_part", wait_first)
    seen: dict[str, set[str]] = {publishing: set(), receiving: set()}

    def both_renewed() -> bool:
        other.write(b"more")
        for upload, etags in seen.items():
            etags.add(another_store.client.head_object(LEASES + upload).etag)
            with pytest.raises(Locked):
                another_store.locker.lock(upload)
        return all(len(etags) > 3 for etags in seen.values())

    with ThreadPoolExecutor(1) as thread:
        published = thread.submit(large.publish, NAME, Content("text/plain"))
        assert copying.wait(30)
        eventually(both_renewed, 30)
        renewed.set()
        assert published.result(60).size == 9 * MIB
    large.close()
    other.close()


def test_lease_is_trusted_from_the_beginning_of_the_request_that_renewed_it(
    open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket counts from some moment of the request, so another writer may have the lease by
    the time of the answer."""
    client, clock = open_s3(lease_trusted=5.0).client, Clock()
    monkeypatch.setattr(lease_module, "time", clock)
    put_object, requests, seconds = S3Client.put_object, [], 6.0

    def take_long(self: S3Client, key: str, *arguments, **options) -> str:
        requests.append(key)
        written = put_object(self, key, *arguments, **options)
        clock.now += seconds
        return written

    lease = Lease(client, secrets.token_hex(16))
    monkeypatch.setattr(S3Client, "put_object", take_long)
    lease.acquire()
    for count in (2, 3):  # the answers to the earlier requests came too late
        lease.ensure_held()
        assert len(requests) == count
    seconds = 4.0
    for _ in range(2):
        lease.ensure_held()
    assert len(requests) == 4
    lease.release()
