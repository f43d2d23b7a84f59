"""A name that is reserved while a multipart upload is completed."""

import secrets

import pytest

from fileservice.storage import Content, NameReserved, NameTaken, NotFound
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.errors import OutcomeUnknown
from fileservice.storage.s3.listing import list_multipart_uploads, list_objects
from fileservice.storage.s3.store import S3Store
from tests.storage.s3.conftest import EXPIRED, OpenStore
from tests.storage.s3.requests import around
from tests.storage.store_contract import NAME, content_of, names, publish, read
from tests.support.seaweed import SeaweedClient

MIB = 1 << 20
UPLOAD = "0" * 32


@pytest.fixture
def reserved(client: S3Client) -> str:
    """The ETag of a reservation whose process died."""
    return reservation.reserve(client, NAME, UPLOAD)


@pytest.fixture
def impatient_store(open_s3: OpenStore) -> S3Store:
    """A store that waits for no reservation."""
    return open_s3(retry=0.0)


@pytest.mark.usefixtures("reserved")
def test_reservation_is_no_file_but_nobody_else_gets_the_name(impatient_store: S3Store) -> None:
    _, body = impatient_store.client.read_object(NAME)
    publish(impatient_store, "b.txt", b"x" * len(body))
    assert names(impatient_store) == ["b.txt"]
    for call in (impatient_store.open, impatient_store.stat, impatient_store.delete):
        with pytest.raises(NotFound):
            call(NAME)
    with pytest.raises(NotFound):
        impatient_store.open(NAME, sequential=True)
    with pytest.raises(NameReserved):
        impatient_store.is_taken(NAME)
    with pytest.raises(NameReserved):
        publish(impatient_store, NAME, b"data")


@pytest.mark.usefixtures("reserved")
@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_expired_reservation_is_replaced(open_s3: OpenStore, size: int) -> None:
    store = open_s3(reservation=EXPIRED)
    assert not store.is_taken(NAME)
    publish(store, NAME, b"x" * size)
    assert read(store, NAME) == b"x" * size


@pytest.mark.parametrize("size", [10, 9 * MIB])
@pytest.mark.parametrize("completed", [True, False])
def test_publishing_waits_for_what_becomes_of_a_reservation(
    store: S3Store,
    another_store: S3Store,
    reserved: str,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    completed: bool,
) -> None:
    head_object, seen = S3Client.head_object, []

    def decide_after_it_was_seen(self: S3Client, key: str) -> object:
        head = head_object(self, key)
        if self is store.client:
            seen.append(reservation.is_reservation(head))
            if len(seen) == (1 if size < MIB else 2):  # a large file is looked for before, too
                if completed:
                    another_store.client.put_object(NAME, b"another file", if_match=reserved)
                else:
                    reservation.release(another_store.client, NAME, reserved)
        return head

    writer = store.writer()
    try:
        writer.write(b"x" * size)
        monkeypatch.setattr(S3Client, "head_object", decide_after_it_was_seen)
        if completed:
            with pytest.raises(NameTaken):
                writer.publish(NAME, Content("text/plain"))
        else:
            assert writer.publish(NAME, Content("text/plain")).size == size
    finally:
        writer.close()
    assert seen[0]


def test_reservation_is_kept_if_the_bucket_may_still_complete_the_upload(
    open_s3: OpenStore, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_no_answer(*_: object) -> Answer:
        raise ConnectionResetError

    store = open_s3(retry_with_body=0.0)
    around(monkeypatch, store.client, "complete_multipart_upload", give_no_answer)
    writer = store.writer(stream_to=NAME)
    try:
        writer.write(b"x" * 9 * MIB)
        with pytest.raises(OutcomeUnknown):
            writer.publish(NAME, Content("text/plain"))
    finally:
        writer.close()
    with pytest.raises(NameReserved):
        another_store.is_taken(NAME)


@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_upload_keeps_its_bytes_and_is_published_after_the_reservation(
    impatient_store: S3Store, reserved: str, size: int
) -> None:
    upload = impatient_store.uploads.create(b"record", None)
    writer = impatient_store.locker.lock(upload)
    try:
        writer.write(b"x" * size)
        with pytest.raises(NameReserved):
            writer.publish(NAME, Content("text/plain"))
        reservation.release(impatient_store.client, NAME, reserved)
        assert writer.publish(NAME, Content("text/plain")).size == size
    finally:
        writer.close()
    assert read(impatient_store, NAME) == b"x" * size


def test_another_attempt_of_the_same_upload_takes_the_reservation_over(
    client: S3Client, impatient_store: S3Store, reserved: str
) -> None:
    second = reservation.reserve(client, NAME, UPLOAD)
    reservation.release(client, NAME, reserved)  # the first attempt must not release the second's
    assert client.head_object(NAME).etag == second
    with pytest.raises(NameReserved):
        reservation.reserve(impatient_store.client, NAME, "1" * 32)


def test_name_is_not_reserved_while_the_bytes_are_copied(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying may take longer than a reservation lasts."""
    upload_part, listings = S3Client.upload_part, []

    def list_first(self: S3Client, *arguments) -> str:
        listings.append(list_objects(another_store.client, NAME))
        return upload_part(self, *arguments)

    monkeypatch.setattr(S3Client, "upload_part", list_first)
    publish(store, NAME, b"x" * (9 * MIB))
    assert listings
    assert not any(listings)
    assert read(store, NAME) == b"x" * (9 * MIB)


@pytest.mark.parametrize("step", ["metadata", "reservation"])
def test_no_reservation_is_left_if_the_bucket_lost_the_parts(
    store: S3Store, seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    put_object = S3Client.put_object

    def lose_parts_after(self: S3Client, key: str, *arguments, **options) -> str:
        written = put_object(self, key, *arguments, **options)
        if (key == NAME) == (step == "reservation"):
            for upload in list(list_multipart_uploads(self)):
                self.abort_multipart_upload(upload.key, upload.upload_id)
        return written

    writer = store.writer(stream_to=NAME)
    try:
        writer.write(b"x" * (5 * MIB))
        writer.write(b"x" * (5 * MIB))
        monkeypatch.setattr(S3Client, "put_object", lose_parts_after)
        with pytest.raises(NameReserved):
            writer.publish(NAME, Content("text/plain"))
    finally:
        writer.close()
    assert seaweed.keys(prefix) == []


@pytest.mark.parametrize("completed_first", [True, False])
def test_listing_shows_the_file_or_nothing_but_never_a_reservation(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch, completed_first: bool
) -> None:
    """The listing has the reservation in it; the head that it then reads may have the file."""
    data = secrets.token_bytes(9 * MIB)
    complete, head_object = S3Client.complete_multipart_upload, S3Client.head_object
    listed: list[int] = []

    def list_before(self: S3Client, *arguments, **options) -> str:
        etags: list[str] = []

        def complete_before(client: S3Client, key: str) -> object:
            if client is another_store.client and completed_first and not etags:
                etags.append(complete(self, *arguments, **options))
            return head_object(client, key)

        with monkeypatch.context() as patch:
            patch.setattr(S3Client, "head_object", complete_before)
            listed.extend(file.size for file in another_store.list())
        return etags[0] if etags else complete(self, *arguments, **options)

    monkeypatch.setattr(S3Client, "complete_multipart_upload", list_before)
    writer = store.writer(stream_to=NAME)
    writer.write(data)
    file = writer.publish(NAME, content_of(data))
    writer.close()
    assert listed == ([file.size] if completed_first else [])
    assert read(store, NAME) == data
