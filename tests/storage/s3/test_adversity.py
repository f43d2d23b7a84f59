"""Promises over a bucket, kept when processes stand still, answers are lost, or are none."""

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import (
    Locked,
    NameTaken,
    NotFound,
    StorageError,
    StorageUnavailable,
    Store,
    open_store,
)
from fileservice.storage.s3 import bucket as bucket_module
from fileservice.storage.s3 import calls, lease, records, reservation, sweep
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.errors import PreconditionFailed
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.locker import S3Locker
from fileservice.storage.s3.pieces import Pieces
from fileservice.storage.s3.writer import StreamingWriter
from fileservice.upload import UploadPolicy, UploadRequest
from fileservice.upload.errors import TooLarge
from fileservice.upload.resumable.service import ResumableUploads
from tests.storage.store_contract import NAME, content_of, publish, read
from tests.support.seaweed import Seaweed

MIB = 1 << 20
RULES = UploadPolicy(types=filetypes.TABLE, max_size=64 << 20, min_free=0, digest=True)


def resumption(store: Store) -> ResumableUploads:
    return ResumableUploads(store, RULES, InlineExecutor(), 86400.0)


def append(r: ResumableUploads, upload: str, offset: int, *blocks: bytes, **options):
    return r.append(
        upload,
        offset,
        iter(blocks),
        content_length=options.pop("content_length", sum(map(len, blocks))),
        interrupt=options.pop("interrupt", lambda: None),
        **options,
    )


def test_a_claim_that_cannot_be_withdrawn_does_not_lock_the_upload_for_ever(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = resumption(store), resumption(another_store)
    upload = one.create(UploadRequest(NAME, 100), 100, {}).upload
    held = store.locker.lock(upload)
    threading.Timer(1.0, held.close).start()

    def away(self: S3Locker, upload: str) -> None:
        raise StorageUnavailable("for ten seconds")

    with monkeypatch.context() as patch:
        patch.setattr(S3Locker, "cancel_release_request", away)
        assert append(two, upload, 0, b"x" * 10, preempt=True).offset == 10
    assert not another_store.locker._heart._beats  # type: ignore[attr-defined]
    assert append(one, upload, 10, b"x" * 10, preempt=True).offset == 20


def test_memory_does_not_grow_with_a_file_of_unknown_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Nothing:
        def create_multipart_upload(self, *_: object) -> str:
            return "upload"

        def upload_part(self, *_: object) -> str:
            return "etag"

    writer = StreamingWriter(Nothing(), None, None, NAME)  # type: ignore[arg-type]
    writer.write(b"x" * (9 << 20))
    # Every part counts for 600 MiB, so that 60 GiB need not be sent; only what is kept is counted.
    block = bytes(16 << 20)
    writer._sent = 10 << 30
    while writer._sent < 60 << 30:
        writer._fill(memoryview(block))
        writer._sent += 600 << 20
    writer._flight.wait()
    kept = [len(data) >> 20 for data in writer._used]
    assert sum(kept) <= 3 * max(kept, default=0)


def test_who_could_not_fence_leaves_no_way_past_the_fence(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stands still; B takes over, and the store fails just then; C has the upload; A goes on."""
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    upload = store.uploads.create(b"record", None)
    a = store.locker.lock(upload)

    def away(*_: object) -> str:
        raise StorageUnavailable("for ten seconds")

    with monkeypatch.context() as patch:
        patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        patch.setattr(records, "fence", away)
        with pytest.raises(StorageUnavailable):
            another_store.locker.lock(upload)  # B
    with pytest.raises(Locked):
        another_store.locker.lock(upload)  # until the lease of B has run out, which fences
    with monkeypatch.context() as patch:
        patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        c = another_store.locker.lock(upload)
    c.write(b"bytes")
    c.sync()
    c.close()
    assert store.uploads.read(upload).size == 5  # told
    with pytest.raises(Locked):
        a.end(b"refused, says A of what it had seen")
    kept = store.uploads.read(upload)
    assert (kept.record, kept.size) == (b"record", 5)


def test_cutting_a_piece_whose_answer_was_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(b"0123456789")
    writer.sync()
    client = store._bucket._client  # type: ignore[attr-defined]
    put = client.put_object

    def lost(**arguments: object) -> object:
        answer = put(**arguments)
        if arguments["Key"].endswith("/" + "0" * 20):
            monkeypatch.setattr(client, "put_object", put)
            raise ConnectionClosedError(endpoint_url="")
        return answer

    monkeypatch.setattr(client, "put_object", lost)
    try:
        writer.truncate(5)  # raises Unmet, which is no StorageError: 500
        assert (writer.size, writer.read_at(10, 0)) == (5, b"01234")
    finally:
        writer.close()


def test_whoever_removes_an_upload_makes_no_500_of_a_late_piece(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A's piece is refused, since B wrote one there; before A looks, the upload has ended."""
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    upload = store.uploads.create(b"record", None)
    late = store.locker.lock(upload)
    with monkeypatch.context() as patch:
        patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        writer = another_store.locker.lock(upload)
    writer.write(b"alive")
    writer.sync()
    put = Bucket.put

    def then_ended(self: Bucket, key: str, data: bytes, **keywords) -> str:
        try:
            return put(self, key, data, **keywords)
        except PreconditionFailed:
            monkeypatch.setattr(Bucket, "put", put)
            writer.end(b"ended")
            raise

    monkeypatch.setattr(Bucket, "put", then_ended)
    late.write(b"late")
    try:
        with pytest.raises(StorageError):
            late.sync()
    finally:
        late.close()
        writer.close()


def test_whoever_reads_what_another_removed_gets_an_error_of_the_store(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still while it caught up with the bytes; another took over, and ended the upload."""
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    upload = store.uploads.create(b"record", None)
    late = store.locker.lock(upload)
    late.write(b"bytes")
    late.sync()
    with monkeypatch.context() as patch:
        patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        writer = another_store.locker.lock(upload)
    writer.end(b"ended")
    writer.close()
    try:
        with pytest.raises(StorageError):
            late.read_at(5, 0)
    finally:
        late.close()


def test_a_file_of_this_upload_that_is_deleted_while_one_looks(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    data = secrets.token_bytes(9 * MIB)
    writer.write(data)
    writer.publish(NAME, content_of(data))
    file_at, looks = reservation.file_at, []

    def then_deleted(*arguments) -> object:
        found = file_at(*arguments)
        looks.append(found)
        if len(looks) == 2:  # the first is before anything is copied
            another_store.delete(NAME)
        return found

    monkeypatch.setattr(reservation, "file_at", then_deleted)
    try:
        assert writer.publish(NAME, content_of(data)).size == len(data)
    finally:
        writer.close()


def test_an_abort_that_conflicts_hides_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS may answer 409 OperationAborted to anything while another operation is under way."""
    client = store._bucket._client  # type: ignore[attr-defined]

    def conflict(**_: object) -> None:
        raise ClientError(
            {"Error": {"Code": "OperationAborted"}, "ResponseMetadata": {"HTTPStatusCode": 409}},
            "AbortMultipartUpload",
        )

    monkeypatch.setattr(client, "abort_multipart_upload", conflict)
    writer = store.writer(stream_to=NAME)
    writer.write(b"x" * (9 * MIB))
    writer.close()


def test_a_listing_never_shows_a_reservation(
    store: Store, another_store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = secrets.token_bytes(9 * MIB)
    complete = Bucket.complete_multipart_upload
    seen = []

    def between(self: Bucket, *arguments, **keywords) -> str:
        listing = another_store.list()
        head = Bucket.head

        def completed_first(self2: Bucket, key: str):
            nonlocal etag
            if key == NAME and not etag:
                etag = complete(self, *arguments, **keywords)
            return head(self2, key)

        etag = ""
        with monkeypatch.context() as patch:
            patch.setattr(Bucket, "head", completed_first)
            seen.extend(listing)
        return etag

    monkeypatch.setattr(Bucket, "complete_multipart_upload", between)
    writer = store.writer(stream_to=NAME)
    writer.write(data)
    file = writer.publish(NAME, content_of(data))
    writer.close()
    assert [entry.size for entry in seen] in ([], [file.size])


def test_a_file_never_gets_the_digest_of_other_bytes(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = resumption(store), resumption(another_store)
    a, b, rest = b"first version\n" * 10, b"other version\n" * 10, b"and the rest\n"
    length = len(a) + len(rest)
    upload = one.create(UploadRequest(NAME, length), length, {}).upload
    replace = records.replace

    def once(bucket: Bucket, key: str, record: bytes, etag: str) -> str:
        if b'"verified_size": null' in record:
            monkeypatch.setattr(records, "replace", replace)
            raise StorageUnavailable("for ten seconds")
        return replace(bucket, key, record, etag)

    monkeypatch.setattr(records, "replace", once)
    with pytest.raises(StorageUnavailable):
        append(one, upload, 0, a, atomic=True)
    assert two.status(upload).offset == 0
    assert append(two, upload, 0, b, atomic=True).offset == len(b)
    status = append(one, upload, len(b), rest)
    assert read(store, NAME) == b + rest
    assert status.record.finished
    assert status.record.finished.content.sha256 == hashlib.sha256(b + rest).digest()


def test_what_was_cancelled_is_not_published_afterwards(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stands still while it copies; B takes over and removes the upload; A goes on."""
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    upload = store.uploads.create(b"record", None)
    late = store.locker.lock(upload)
    data = secrets.token_bytes(9 * MIB)
    late.write(data)
    late.sync()
    copy = Pieces._copy

    def then_stands_still(*arguments) -> list[str]:
        etags = copy(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
            writer = another_store.locker.lock(upload)
        another_store.uploads.remove(upload)  # DELETE, answered 204
        writer.close()
        return etags

    monkeypatch.setattr(Pieces, "_copy", then_stands_still)
    try:
        with pytest.raises(Locked):
            late.publish(NAME, content_of(data))
    finally:
        late.close()
    with pytest.raises(NotFound):
        store.stat(NAME)


def test_who_took_over_is_not_interrupted_by_its_own_claim(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker; asking for the claims takes as long as it may over a network."""
    one = resumption(store)
    upload = one.create(UploadRequest(NAME, 100), 100, {}).upload
    stopped = threading.Event()
    release_requests = S3Locker.release_requests
    interrupted = []

    def slow(self: S3Locker) -> list[str]:
        found = release_requests(self)
        time.sleep(0.4)
        return found

    monkeypatch.setattr(S3Locker, "release_requests", slow)

    def trickle() -> Iterator[bytes]:
        yield b"first"
        stopped.wait(20)
        time.sleep(0.5)  # what was received is still being sent to the store

    def taking_over() -> Iterator[bytes]:
        yield b"second"
        time.sleep(2)
        yield b"third"

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(
            one.append, upload, 0, trickle(), content_length=None, interrupt=stopped.set
        )
        time.sleep(0.7)
        one.append(
            upload,
            5,
            taking_over(),
            content_length=None,
            preempt=True,
            interrupt=lambda: interrupted.append(1),
        )
        first.result(20)
    assert interrupted == []


def test_what_was_kept_back_while_its_writer_stood_still_never_goes_out(
    store: Store, another_store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lie in line with what the next writer was told, and belong to a damaged block."""
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    upload = store.uploads.create(b"record", None)
    late = store.locker.lock(upload)
    late.write(b"01234")
    late.sync()
    late.write(b"damaged")
    with monkeypatch.context() as patch:
        patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        writer = another_store.locker.lock(upload)
    monkeypatch.setattr(lease, "_SURE_SECONDS", -1.0)  # as if it had stood still for so long
    late._written = 0.0  # type: ignore[attr-defined]
    late._send_rest()  # type: ignore[attr-defined]
    for act in (lambda: late.write(b"more"), late.sync):
        with pytest.raises(Locked):
            act()
    late.close()
    writer.close()
    assert store.uploads.read(upload).size == 5


def test_clearing_up_at_the_beginning_removes_nothing_of_the_next_writer(
    store: Store, another_store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    upload = store.uploads.create(b"record", None)
    bucket.put(f".fileservice/uploads/{upload}/{5:020}", b"out of line")

    def stands_still_for_long() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
            writer = another_store.locker.lock(upload)
        for block in (b"12345", b"67890"):
            writer.write(block)
            writer.sync()
        writer.close()
        assert store.uploads.read(upload).size == 10  # told

    monkeypatch.setattr(lease, "_SURE_SECONDS", -1.0)
    ensure_held = lease.Lease.ensure_held

    def stands_still_before(self: lease.Lease) -> None:
        monkeypatch.setattr(lease.Lease, "confirm", ensure_held)
        stands_still_for_long()
        ensure_held(self)

    monkeypatch.setattr(lease.Lease, "confirm", stands_still_before)
    with pytest.raises(Locked):
        store.locker.lock(upload)
    assert store.uploads.read(upload).size == 10


def test_an_offset_that_was_told_stays_though_too_much_comes_after_it(
    store: Store, another_store: Store
) -> None:
    one, two = resumption(store), resumption(another_store)
    upload = one.create(UploadRequest(NAME, 20 * MIB), 20 * MIB, {}).upload
    reported_size = []

    def blocks() -> Iterator[bytes]:
        yield b"x" * (8 * MIB)
        yield b"x" * MIB
        time.sleep(3)
        reported_size.append(two.status(upload).offset)
        yield b"x" * (12 * MIB)

    with pytest.raises(TooLarge):
        one.append(upload, 0, blocks(), content_length=None, interrupt=lambda: None)
    assert reported_size[0] > 0
    assert two.status(upload).offset >= reported_size[0]


def test_a_lease_that_was_just_taken_over_is_not_swept(
    store: Store, another_store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    with monkeypatch.context() as patch:
        patch.setattr(lease.Heartbeat, "add", lambda *_: None)
        store.locker.lock(upload)  # its process dies
    entries = Bucket.entries
    time.sleep(2)
    alive = []

    def taken_over_after(self: Bucket, under: str):
        found = entries(self, under)
        if under == lease.LEASES:
            monkeypatch.setattr(Bucket, "entries", entries)
            with monkeypatch.context() as patch:
                patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
                alive.append(another_store.locker.lock(upload))
        return found

    monkeypatch.setattr(Bucket, "entries", taken_over_after)
    sweep._leases(bucket, 1.0)
    try:
        with pytest.raises(Locked):
            store.locker.lock(upload)
    finally:
        alive[0].close()


def test_an_offset_that_was_told_by_who_stood_still_stays(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stands still before its piece; B takes over, with a checksum, and waits for its bytes."""
    monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
    monkeypatch.setattr(lease, "_SURE_SECONDS", -1.0)  # as if it had stood still for so long
    one, two = resumption(store), resumption(another_store)
    upload = one.create(UploadRequest(NAME, 100), 100, {}).upload
    put = Bucket.put
    b_began, a_told = threading.Event(), threading.Event()

    def blocks() -> Iterator[bytes]:
        b_began.set()
        assert a_told.wait(20)
        yield b"x" * 20

    def b() -> object:
        try:
            return two.append(
                upload, 0, blocks(), content_length=20, interrupt=lambda: None, atomic=True
            )
        except StorageError as error:
            return error

    with ThreadPoolExecutor(1) as thread:
        futures = []

        def stands_still(self: Bucket, key: str, data: bytes, **keywords) -> str:
            if key.endswith("0" * 20):
                monkeypatch.setattr(Bucket, "put", put)
                monkeypatch.setattr(lease, "_HOLDS_SECONDS", -1.0)
                futures.append(thread.submit(b))
                assert b_began.wait(20)
            return put(self, key, data, **keywords)

        monkeypatch.setattr(Bucket, "put", stands_still)
        with pytest.raises(Locked):
            append(one, upload, 0, b"x" * 10)  # it tells nobody
        a_told.set()
        futures[0].result(20)


ODD = [
    "a+b %25 %2F ?x=1&y#z.txt",
    "'\"<&>`$;.txt",
    "e\u0301 \U0001f600.txt",
    "a" * 251 + ".txt",
    "a..b.txt",
    "~.txt",
    "ﬁ\U0001f600\u0301.txt",
    "%.txt",
    "ready",
    "a.txt",
    "a:b|c*.txt",
]


@pytest.mark.parametrize(
    "raw", [ODD[0], *(pytest.param(raw, marks=pytest.mark.thorough) for raw in ODD[1:])]
)
def test_odd_names(seaweed: Seaweed, prefix: str, raw: str) -> None:
    store = open_store(seaweed.url(f"{prefix}/odd%20+%25'%C3%BC&"), fsync=True)
    name = FileName.parse(raw)
    for size in (0, 5, 8 * MIB, 9 * MIB):
        for meant in (name, None):
            writer = store.writer(stream_to=meant)
            data = secrets.token_bytes(size)
            try:
                writer.write(data[:7])
                writer.write(data[7:])
                file = writer.publish(name, content_of(data))
            finally:
                writer.close()
            assert read(store, name) == data
            assert store.stat(name) == file
            assert [entry.name for entry in store.list()] == [name]
            with pytest.raises(NameTaken):
                publish(store, name)
            store.delete(name, file.version)
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    data = secrets.token_bytes(17 * MIB)
    writer.write(data)
    writer.publish(name, content_of(data))
    writer.close()
    assert read(store, name) == data
    store.delete(name)
    left = store.writer(stream_to=name)
    left.write(data)
    left._flight.wait()
    left._upload = None  # its process dies
    bucket = store._bucket
    time.sleep(2.1)
    sweep._parts(bucket, 1.0)
    assert list(bucket.multipart_uploads()) == []


class Stub:
    """Answers every request with 200 and the same body."""

    def __init__(self, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/xml")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bucket(self) -> Bucket:
        port = self.server.server_address[1]
        return Bucket(Location.parse(f"s3://files?endpoint=http://127.0.0.1:{port}&region=r"))


CALLS = {
    "list": lambda b: b.entries(""),
    "begin": lambda b: b.create_multipart_upload("k", "a/b", {}),
    "complete": lambda b: b.complete_multipart_upload("k", "u", ["e"], instead_of="e"),
    "copy": lambda b: b.upload_part_copy("k", "u", 1, "s"),
    "head": lambda b: b.head("k"),
    "put": lambda b: b.put("k", b""),
    "delete_all": lambda b: b.delete_all(["k"]),
    "uploads": lambda b: list(b.multipart_uploads()),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "body",
    [b"<html><p>Back soon<br></html>", b"<Error><Code>InternalError</Code></Error>", b"   "],
    ids=["page", "error", "empty"],
)
def test_a_200_that_is_none_is_an_error_of_the_store(
    seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch, call: str, body: bytes
) -> None:
    for where in (calls, bucket_module):
        monkeypatch.setattr(where, "RETRY_SECONDS", 0.0)
        monkeypatch.setattr(where, "RETRY_SECONDS_WITH_BODY", 0.0)
    monkeypatch.setattr(Bucket._with_retries, "__defaults__", (0.0,))
    stub = Stub(body)
    try:
        with pytest.raises(StorageUnavailable):
            CALLS[call](stub.bucket())
    finally:
        stub.server.shutdown()
        stub.server.server_close()


def test_what_a_proof_left_is_swept(store: Store, bucket: Bucket) -> None:
    bucket.put(".fileservice/probe/" + "0" * 32, b"its process was killed")
    time.sleep(3.1)
    sweep.sweep(bucket, abandoned=1.0)
    assert bucket.entries("") == []
