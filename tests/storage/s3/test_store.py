"""S3Store on a real SeaweedFS: the contract of every store, and what is particular to a bucket."""

import hashlib
import itertools
import os
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import (
    Content,
    Locked,
    NameReserved,
    NameTaken,
    NoSuchUpload,
    NotFound,
    StorageUnavailable,
    Store,
    StoredFile,
    Writer,
    open_store,
)
from fileservice.storage.s3 import lease, reservation, sweep
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.metadata import MetadataStore
from fileservice.storage.s3.parts import part_size
from fileservice.storage.s3.pieces import Piece, Pieces
from fileservice.upload.errors import UploadGone
from fileservice.upload.resumable.record import Record
from fileservice.upload.resumable.repository import UploadRepository
from tests.storage.store_contract import (
    COMPETITORS,
    NAME,
    StoreContract,
    compete,
    content_of,
    names,
    publish,
    read,
)
from tests.support.seaweed import BUCKET, Seaweed


class TestContract(StoreContract):
    KEEPS_WHAT_IS_OPEN = False
    LISTS_DIGESTS = False


class TestLarge:
    """What does not fit into one part."""

    DATA = secrets.token_bytes(1 << 20) * 19 + b"end"

    def write(self, store: Store, *, stream_to: FileName | None) -> Writer:
        writer = store.writer(len(self.DATA), stream_to=stream_to)
        for offset in range(0, len(self.DATA), 3 << 20):
            writer.write(self.DATA[offset : offset + (3 << 20)])
        return writer

    @pytest.mark.parametrize("stream_to", [NAME, None])
    def test_it_is_invisible_until_it_is_published_whole(
        self, store: Store, another_store: Store, seaweed: Seaweed, prefix: str, stream_to
    ) -> None:
        writer = self.write(store, stream_to=stream_to)
        try:
            assert names(another_store) == []
            assert not another_store.is_taken(NAME)
            published = writer.publish(NAME, content_of(self.DATA, "text/plain", "utf-8"))
        finally:
            writer.close()

        assert published.content == content_of(self.DATA, "text/plain", "utf-8")
        assert published.version == hashlib.sha256(self.DATA).hexdigest()
        assert another_store.stat(NAME) == published
        assert read(another_store, NAME) == self.DATA
        left = {key.split("/")[1] for key in seaweed.keys(prefix) if key.startswith(".")}
        assert left == ({"facts"} if stream_to else set())
        another_store.delete(NAME)
        assert seaweed.keys(prefix) == []

    @pytest.mark.parametrize("stream_to", [NAME, None])
    def test_nothing_is_left_of_what_is_not_published(
        self, store: Store, seaweed: Seaweed, prefix: str, stream_to: FileName | None
    ) -> None:
        self.write(store, stream_to=stream_to).close()

        assert seaweed.keys(prefix) == []
        assert seaweed.unfinished(prefix) == []

    def test_it_can_be_read_back_at_any_offset_before_it_is_published(self, store: Store) -> None:
        writer = self.write(store, stream_to=None)
        try:
            for offset in (0, (8 << 20) - 5, (16 << 20) - 5, len(self.DATA) - 5, 12_345_678):
                assert writer.read_at(10, offset) == self.DATA[offset : offset + 10]
            with writer.descriptor() as descriptor:
                assert os.pread(descriptor, 1 << 25, 0) == self.DATA
        finally:
            writer.close()

    @pytest.mark.parametrize("stream_to", [NAME, None])
    def test_of_large_and_small_ones_that_race_for_a_name_one_wins(
        self, store: Store, another_store: Store, seaweed: Seaweed, prefix: str, stream_to
    ) -> None:
        """SeaweedFS lets two completions win where both ask for a free name (decision 8)."""
        stores = itertools.cycle([store, another_store])
        data = [bytes([65 + number]) * (9 << 20) for number in range(COMPETITORS - 2)]
        data += [b"small 1", b"small 2"]
        writers = [next(stores).writer(stream_to=stream_to) for _ in data]
        try:
            for writer, block in zip(writers, data, strict=True):
                writer.write(block[:100])
                writer.write(block[100:])
            results = compete(lambda n: writers[n].publish(NAME, content_of(data[n])))
        finally:
            for writer in writers:
                writer.close()

        [winner] = [n for n, result in enumerate(results) if isinstance(result, StoredFile)]
        assert sum(isinstance(result, NameTaken) for result in results) == COMPETITORS - 1
        assert read(store, NAME) == data[winner]
        assert store.stat(NAME) == results[winner]
        metadata = [key for key in seaweed.keys(prefix) if key.startswith(".fileservice/facts/")]
        assert len(metadata) == (1 if stream_to and winner < len(data) - 2 else 0)
        assert seaweed.unfinished(prefix) == []


class TestReservations:
    """A name that is taken and not yet given to its file (reservation)."""

    @pytest.fixture
    def reserved(self, bucket: Bucket) -> str:
        return reservation._reserve(bucket, NAME, "0" * 32)

    @pytest.fixture
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reservation, "RETRY_SECONDS", 0.0)

    @pytest.mark.usefixtures("store", "reserved", "impatient")
    def test_it_is_no_file_and_yet_nobody_else_gets_the_name(self, store: Store) -> None:
        publish(store, "b.txt", b"x" * reservation._SIZE)
        assert names(store) == ["b.txt"]
        for ask in (store.open, store.stat, store.delete):
            with pytest.raises(NotFound):
                ask(NAME)
        with pytest.raises(NotFound):
            store.open(NAME, sequential=True)
        with pytest.raises(NameReserved):
            store.is_taken(NAME)
        with pytest.raises(NameReserved):
            publish(store, NAME, b"data")

    @pytest.mark.usefixtures("store", "reserved")
    @pytest.mark.parametrize("size", [10, 9 << 20])
    def test_that_of_a_dead_process_lapses(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr(reservation, "_LAPSES_SECONDS", -1.0)
        assert not store.is_taken(NAME)
        publish(store, NAME, b"x" * size)
        assert read(store, NAME) == b"x" * size

    @pytest.mark.parametrize("size", [10, 9 << 20])
    @pytest.mark.parametrize("kept", [True, False])
    def test_who_wants_the_name_waits_for_what_becomes_of_it(
        self, store: Store, bucket: Bucket, reserved: str, size: int, kept: bool
    ) -> None:
        def decide() -> None:
            if kept:
                bucket.put(NAME, b"theirs", only=reserved)
            else:
                reservation._release(bucket, NAME, reserved)

        decided = threading.Timer(0.5, decide)
        writer = store.writer()
        try:
            writer.write(b"x" * size)
            decided.start()
            if kept:
                with pytest.raises(NameTaken):
                    writer.publish(NAME, Content("text/plain"))
            else:
                assert writer.publish(NAME, Content("text/plain")).size == size
        finally:
            decided.join()
            writer.close()

    @pytest.mark.usefixtures("store", "reserved", "impatient")
    @pytest.mark.parametrize("size", [10, 9 << 20])
    def test_an_upload_keeps_its_bytes_and_is_published_later(
        self, store: Store, bucket: Bucket, reserved: str, size: int
    ) -> None:
        upload = store.uploads.create(b"record", None)
        writer = store.locker.lock(upload)
        try:
            writer.write(b"x" * size)
            with pytest.raises(NameReserved):
                writer.publish(NAME, Content("text/plain"))
            reservation._release(bucket, NAME, reserved)
            assert writer.publish(NAME, Content("text/plain")).size == size
        finally:
            writer.close()
        assert read(store, NAME) == b"x" * size

    def test_it_is_taken_over_by_another_attempt_of_the_same_upload(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = reservation._reserve(bucket, NAME, "0" * 32)
        second = reservation._reserve(bucket, NAME, "0" * 32)
        reservation._release(bucket, NAME, first)  # what the first gives up is the second's by now
        assert bucket.head(NAME).etag == second
        monkeypatch.setattr(reservation, "RETRY_SECONDS", 0.0)
        with pytest.raises(NameReserved):
            reservation._reserve(bucket, NAME, "1" * 32)

    def test_none_is_held_while_the_bytes_are_copied(
        self, store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That may take longer than one holds."""
        copy = Pieces._copy

        def looked_at(*arguments) -> list[str]:
            etags = copy(*arguments)
            assert bucket.entries(NAME) == []
            return etags

        monkeypatch.setattr(Pieces, "_copy", looked_at)
        publish(store, NAME, b"x" * (9 << 20))
        assert read(store, NAME) == b"x" * (9 << 20)

    @pytest.mark.parametrize("step", [(MetadataStore, "write"), (reservation, "_reserve")])
    def test_none_is_left_where_the_store_has_lost_the_parts(
        self,
        store: Store,
        bucket: Bucket,
        seaweed: Seaweed,
        prefix: str,
        monkeypatch: pytest.MonkeyPatch,
        step: tuple[object, str],
    ) -> None:
        act = getattr(*step)

        def after_which_they_are_lost(*arguments) -> object:
            done = act(*arguments)
            for key, upload, _ in list(bucket.multipart_uploads()):
                bucket.abort_multipart_upload(key, upload)
            return done

        writer = store.writer(stream_to=NAME)
        try:
            writer.write(b"x" * (5 << 20))
            writer.write(b"x" * (5 << 20))
            monkeypatch.setattr(*step, after_which_they_are_lost)
            with pytest.raises(NameReserved):
                writer.publish(NAME, Content("text/plain"))
        finally:
            writer.close()
        assert seaweed.keys(prefix) == []


@pytest.mark.parametrize("size", [4, 9 << 20])
def test_a_store_that_cannot_describe_what_it_has_just_stored_makes_no_error_of_it(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def away(*_: object) -> object:
        raise StorageUnavailable("it does not answer")

    writer = store.writer(stream_to=NAME)
    try:
        writer.write(b"x" * size)
        writer.write(b"x" * size)
        monkeypatch.setattr(reservation, "_head", away)
        file = writer.publish(NAME, content_of(b""))
    finally:
        writer.close()
    stored = another_store.stat(NAME)
    assert abs(stored.modified - file.modified) <= 2
    assert replace(file, modified_ns=stored.modified_ns) == stored


@pytest.mark.parametrize("taken_again", [False, True])
def test_a_file_that_is_removed_as_soon_as_it_is_there_was_stored_all_the_same(
    store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch, taken_again: bool
) -> None:
    head = reservation._head

    def removed_before(bucket: Bucket, name: FileName) -> object:
        another_store.delete(name)
        if taken_again:
            with monkeypatch.context() as undone:
                undone.setattr(reservation, "_head", head)
                publish(another_store, name, b"somebody else's")
        return head(bucket, name)

    monkeypatch.setattr(reservation, "_head", removed_before)
    assert publish(store, NAME, b"mine").size == 4


def test_what_a_batch_could_not_delete_is_deleted_again(
    seaweed: Seaweed, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(Location.parse(seaweed.url(prefix)))
    bucket.put("a", b"a")
    refusals = [{"Errors": [{"Key": "a", "Code": "InternalError"}]}]
    delete = bucket._client.delete_objects

    def sometimes(**arguments: object) -> object:
        return refusals.pop() if refusals else delete(**arguments)

    monkeypatch.setattr(bucket._client, "delete_objects", sometimes)
    bucket.delete_all(["a"])
    assert bucket.entries("") == []


class TestReading:
    def test_only_the_bytes_asked_for_are_fetched(self, store: Store) -> None:
        data = secrets.token_bytes(3 << 20)
        publish(store, NAME, data)
        opened = store.open(NAME)
        with opened.body as body:
            for first, end in (
                (5, 10),
                (1 << 20, (1 << 20) + 70_000),
                (0, 1),
                (3_145_700, 3 << 20),
            ):
                opened.seek_range(first, end)
                assert body.read(end - first) == data[first:end]

    def test_files_put_there_by_others_are_served(
        self, store: Store, seaweed: Seaweed, prefix: str
    ) -> None:
        for key in ("a.txt", "folder/b.txt", ".hidden.txt", "con.txt"):
            seaweed.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"theirs")
        assert names(store) == ["a.txt"]
        file = store.stat(NAME)
        assert (file.size, file.content) == (6, Content("text/plain"))
        assert read(store, NAME) == b"theirs"
        etag = file.version
        seaweed.client.put_object(Bucket=BUCKET, Key=f"{prefix}/a.txt", Body=b"others")
        assert store.stat(NAME).version != etag


class TestStarting:
    def test_a_store_without_conditions_is_refused(
        self, seaweed: Seaweed, prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put = Bucket.put

        def put_anyway(self: Bucket, key: str, data: bytes, **keywords: object) -> str:
            return put(self, key, data)

        monkeypatch.setattr(Bucket, "put", put_anyway)
        with pytest.raises(StorageUnavailable, match="does not honour"):
            open_store(seaweed.url(prefix), fsync=True)

    def test_a_completion_without_its_condition_is_refused(
        self, seaweed: Seaweed, prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Bucket, "complete_multipart_upload", lambda *_, **__: None)
        with pytest.raises(StorageUnavailable, match="CompleteMultipartUpload"):
            open_store(seaweed.url(prefix), fsync=True)

    def test_a_bucket_that_is_not_there_is_refused(self, seaweed: Seaweed) -> None:
        with pytest.raises(StorageUnavailable, match="no such bucket"):
            open_store(seaweed.url("x").replace(BUCKET, "elsewhere"), fsync=True)

    @pytest.mark.parametrize(
        "url",
        ["s3://", "s3:///p", "s3://B/p", "s3://bucket/p?endpoint=ftp://x", "s3://bucket/p?what=1",
         "s3://bucket/p?region=a&region=b", "s3://bucket/p#f", "s3://bucket/p?copy=perhaps"],
    )  # fmt: skip
    def test_a_url_that_makes_no_sense_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"must|takes"):
            Location.parse(url)

    def test_a_url_names_bucket_prefix_and_endpoint(self) -> None:
        assert Location.parse("s3://bucket") == Location("bucket", "", None, None)
        assert Location.parse("s3://bucket/a%20b/c/?endpoint=http://h:1&region=r") == Location(
            "bucket", "a b/c/", "http://h:1", "r"
        )
        assert not Location.parse("s3://bucket?copy=false").copy


class TestSweeping:
    def test_what_dead_processes_left_is_removed_by_age(
        self, store: Store, seaweed: Seaweed, prefix: str
    ) -> None:
        publish(store, "kept.txt", b"x" * (9 << 20))
        large = TestLarge()
        straight = large.write(store, stream_to=NAME)
        spooled = large.write(store, stream_to=None)
        straight.write(b"")
        bucket = Bucket(Location.parse(seaweed.url(prefix)))
        MetadataStore(bucket).write("1" * 32, NAME, content_of(b""))

        sweep.sweep(bucket)
        assert seaweed.unfinished(prefix) == [f"{prefix}/a.txt"]
        deadline = time.monotonic() + 10
        while seaweed.unfinished(prefix) and time.monotonic() < deadline:
            sweep.sweep(bucket, abandoned=1.0)

        assert seaweed.unfinished(prefix) == []
        spooled.close()
        assert [key for key in seaweed.keys(prefix) if "staging" in key] == []
        assert read(store, "kept.txt") == b"x" * (9 << 20)
        straight.close()


class TestResumable:
    def test_what_one_wrote_another_goes_on_with(self, store: Store, another_store: Store) -> None:
        upload = store.uploads.create(b"record", None)
        data = secrets.token_bytes(1 << 20) * 18
        first = store.locker.lock(upload)
        first.write(data[: 10 << 20])
        first.sync()
        first.write(b"never synced")
        with pytest.raises(Locked):
            another_store.locker.lock(upload)
        first.truncate(10 << 20)
        first.close()

        assert another_store.uploads.read(upload).size == 10 << 20
        second = another_store.locker.lock(upload)
        second.write(data[10 << 20 :])
        second.sync()
        assert second.read_at(1 << 25, 0) == data
        file = second.publish(NAME, content_of(data))
        second.close()
        assert read(store, NAME) == data
        assert store.stat(NAME) == file
        assert file.content == content_of(data)
        third = store.locker.lock(upload)
        try:
            assert (
                third.publish(NAME, content_of(data)) == file
            )  # its process died before it said so
        finally:
            third.close()
        store.uploads.remove(upload)
        with pytest.raises(NoSuchUpload):
            another_store.uploads.read(upload)

    def test_of_many_who_want_to_write_one_does(self, store: Store, another_store: Store) -> None:
        upload = store.uploads.create(b"record", None)

        def act(number: int) -> object:
            try:
                return (store, another_store)[number % 2].locker.lock(upload)
            except Locked as error:
                return error

        results = compete(act)
        [winner] = [result for result in results if not isinstance(result, Locked)]
        winner.close()  # type: ignore[attr-defined]
        store.locker.lock(upload).close()

    def test_a_writer_that_stands_still_is_taken_over_from_and_does_no_harm(
        self, store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        upload = store.uploads.create(b"record", None)
        dead = store.locker.lock(upload)
        dead.write(b"dead")
        alive = another_store.locker.lock(upload)
        alive.write(b"alive")
        alive.sync()
        with pytest.raises(Locked):
            dead.sync()
        alive.close()
        dead.close()
        assert store.uploads.read(upload).size == 5

    @pytest.mark.parametrize("copy", ["true", "false"])
    def test_small_pieces_are_joined_in_their_order(
        self, seaweed: Seaweed, prefix: str, copy: str
    ) -> None:
        store = open_store(seaweed.url(prefix, copy=copy), fsync=True)
        upload = store.uploads.create(b"record", None)
        data = secrets.token_bytes(1 << 20) * 26
        writer = store.locker.lock(upload)
        cuts = [0, 3, 9 << 20, (9 << 20) + 1, 12 << 20, 25 << 20, 26 << 20]
        for begin, end in itertools.pairwise(cuts):
            writer.write(data[begin:end])
            writer.sync()
        writer.publish(NAME, content_of(data))
        writer.close()
        assert read(store, NAME) == data

    def test_a_publication_that_takes_long_costs_no_writer_its_lease(
        self, store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "_HOLDS_SECONDS", 4.0)
        monkeypatch.setattr(lease, "_IDLE_RENEWAL_SECONDS", 0.0)
        publishing, receiving = (store.uploads.create(b"record", None) for _ in range(2))
        large, other = store.locker.lock(publishing), store.locker.lock(receiving)
        large.write(secrets.token_bytes(9 << 20))
        copying, go_on = threading.Event(), threading.Event()
        copy = Pieces._copy

        def copied(*arguments) -> list[str]:
            copying.set()
            go_on.wait(60)
            return copy(*arguments)

        monkeypatch.setattr(Pieces, "_copy", copied)
        with ThreadPoolExecutor(1) as thread:
            published = thread.submit(large.publish, NAME, Content("text/plain"))
            assert copying.wait(30)
            begun = time.monotonic()
            while time.monotonic() < begun + 7:
                other.write(b"more")
                for upload in (publishing, receiving):
                    with pytest.raises(Locked):
                        another_store.locker.lock(upload)
            go_on.set()
            assert published.result(60).size == 9 << 20
        large.close()
        other.close()

    def test_who_stood_still_too_long_removes_and_publishes_nothing(
        self, store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
        upload = store.uploads.create(b"record", None)
        late = store.locker.lock(upload)
        late.write(secrets.token_bytes(9 << 20))
        late.sync()
        monkeypatch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        writer = another_store.locker.lock(upload)
        with pytest.raises(Locked):
            late.truncate(0)
        with pytest.raises(Locked):
            late.publish(NAME, Content("text/plain"))
        late.close()
        assert another_store.uploads.read(upload).size == 9 << 20
        assert writer.publish(NAME, Content("text/plain")).size == 9 << 20
        writer.close()

    def test_more_pieces_than_an_object_has_parts_are_joined(self) -> None:
        class Counting:
            copies = True
            parts = 0

            def upload_part(self, _key: str, _upload: str, number: int, _data: bytes) -> str:
                self.parts = max(self.parts, number)
                return "etag"

            def upload_part_copy(self, _key: str, _upload: str, number: int, _from: str) -> str:
                return self.upload_part(_key, _upload, number, b"")

            def read(self, *_of: object) -> bytes:
                return b""

        counting = Counting()
        size = 5 << 20
        pieces = [Piece(f"f/{n}", n * size, size) for n in range(10_100)]
        Pieces(counting, "f/", pieces)._copy(NAME, "upload")  # type: ignore[arg-type]
        assert 0 < counting.parts <= 10_000

    def test_claims_reach_the_other_process(self, store: Store, another_store: Store) -> None:
        upload = store.uploads.create(b"record", None)
        store.locker.request_release(upload)
        assert another_store.locker.release_requests() == [upload]
        store.locker.cancel_release_request(upload)
        assert another_store.locker.release_requests() == []

    @pytest.mark.parametrize("written", [b"record", b"another"])
    def test_who_stood_still_too_long_changes_no_record(
        self, store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch, written: bytes
    ) -> None:
        """Not even one that says what it said before."""
        monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
        upload = store.uploads.create(b"record", None)
        late = store.locker.lock(upload)
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_HOLDS_SECONDS", -1.0)
            writer = another_store.locker.lock(upload)
        writer.write(b"bytes")
        writer.sync()
        if written != b"record":
            writer.update(written)
        for change in (late.update, late.end):
            with pytest.raises(Locked):
                change(b"late")
        late.close()
        kept = store.uploads.read(upload)
        assert (kept.record, kept.size) == (written, 5)
        writer.end(b"ended")
        writer.close()
        kept = store.uploads.read(upload)
        assert (kept.record, kept.size) == (b"ended", 0)

    def test_a_record_whose_answer_was_lost_is_the_writers_own(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upload = store.uploads.create(b"record", None)
        writer = store.locker.lock(upload)
        put = Bucket.put

        def twice(self: Bucket, key: str, data: bytes, **keywords) -> str:
            if "record" in key:
                put(self, key, data, **keywords)
            return put(self, key, data, **keywords)

        monkeypatch.setattr(Bucket, "put", twice)
        writer.update(b"one")
        writer.update(b"two")
        writer.close()
        assert store.uploads.read(upload).record == b"two"

    def test_record_and_bytes_are_read_as_of_one_moment(
        self, store: Store, another_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upload = store.uploads.create(b"unfinished", None)
        writer = another_store.locker.lock(upload)
        writer.write(b"bytes")
        writer.sync()
        entries = Bucket.entries

        def ended_before(self: Bucket, under: str) -> object:
            monkeypatch.setattr(Bucket, "entries", entries)
            writer.end(b"finished")
            return entries(self, under)

        monkeypatch.setattr(Bucket, "entries", ended_before)
        kept = store.uploads.read(upload)
        assert (kept.record, kept.size) == (b"finished", 0)
        writer.close()

    def test_an_upload_whose_writer_died_expires(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease.Heartbeat, "add", lambda *_: None)
        record = Record(NAME, 10, {}).to_bytes()
        upload = store.uploads.create(record, 10)
        dead = store.locker.lock(upload)
        dead.write(b"bytes")
        dead.sync()
        monkeypatch.setattr(lease, "_HOLDS_SECONDS", -1.0)
        time.sleep(3)  # expiry is counted by the whole seconds of the store's clock
        with pytest.raises(UploadGone):
            UploadRepository(store, InlineExecutor(), expiry=1.0).read(upload)
        assert store.uploads.read(upload).size == 0
        dead.close()


def test_parts_grow_so_that_the_largest_object_fits() -> None:
    for length in (None, 5 << 40):
        offset = count = 0
        while offset < 5 << 40:
            size = part_size(offset, length)
            assert size <= 5 << 30
            offset += size
            count += 1
        assert count <= 10_000
    assert part_size(0, 80 << 30) == 9 << 20
    assert part_size(0, 1 << 30) == part_size(1 << 30, None) == 8 << 20
