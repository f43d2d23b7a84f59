"""Replacing in a bucket: the lock of a name, lost answers, and what is left for later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fileservice.storage import (
    NameReserved,
    NotFound,
    Opened,
    StorageFull,
    StorageUnavailable,
    VersionChanged,
)
from fileservice.storage.s3 import sweep
from fileservice.storage.s3.bucket import Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.errors import OutcomeUnknown
from fileservice.storage.s3.layout import METADATA, NAME_LOCKS
from fileservice.storage.s3.listing import list_objects
from fileservice.storage.s3.name_lock import locked_name
from fileservice.storage.s3.store import S3Store
from tests.storage.s3.conftest import ANY_AGE, EXPIRED, OpenStore
from tests.storage.s3.requests import Send, around
from tests.storage.s3.test_lost_answers import LostAnswers
from tests.storage.store_contract import NAME, content_of, names, publish, read, replace
from tests.support.seaweed import SeaweedClient
from tests.web.application import application

MIB = 1 << 20
SMALL, LARGE = b"new bytes", b"new bytes" * MIB
OPERATIONS = [
    pytest.param(SMALL, "put_object", id="small"),
    pytest.param(LARGE, "complete_multipart_upload", id="large"),
]


class Died(BaseException):
    """The process is killed, so that nothing is cleaned up."""


def die_at_once(*_arguments: object, **_options: object) -> None:
    raise Died


def locks(store: S3Store) -> int:
    return len(list_objects(store.client, NAME_LOCKS))


def test_lock_is_released_by_whoever_has_replaced_or_deleted_a_file(store: S3Store) -> None:
    version = publish(store, NAME, b"old").version
    replace(store, NAME, SMALL, version)
    for wrong in (version, ""):
        with pytest.raises(VersionChanged):
            replace(store, NAME, LARGE, wrong)
    with pytest.raises(NotFound):
        store.delete(NAME, version)
    store.delete(NAME)
    with pytest.raises(NotFound):
        replace(store, NAME, SMALL, version)
    assert locks(store) == 0


@pytest.mark.parametrize("is_locked", [False, True])
def test_file_can_be_deleted_in_a_full_bucket_unless_it_is_being_replaced(
    store: S3Store, open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    publish(store, NAME, b"old")
    lock = locked_name(open_s3().client, NAME, lambda: None)
    if is_locked:
        lock.__enter__()

    def fail(*_arguments: object, **_options: object) -> str:
        raise StorageFull("there is no room left for the file: QuotaExceeded")

    monkeypatch.setattr(S3Client, "put_object", fail)
    if is_locked:
        with pytest.raises(NameReserved):
            store.delete(NAME)
    else:
        store.delete(NAME)
    assert names(store) == ([NAME] if is_locked else [])


@pytest.mark.parametrize(("data", "operation"), OPERATIONS)
def test_lost_answer_to_the_replacing_request_is_no_failure(
    store: S3Store, client: S3Client, monkeypatch: pytest.MonkeyPatch, data: bytes, operation: str
) -> None:
    old = publish(store, NAME, b"old")
    answers = LostAnswers(monkeypatch, client, operation)
    answers.lose_next(NAME)

    assert replace(store, NAME, data, old.version) == old

    assert answers.lost == 1
    assert read(store, NAME) == data
    assert locks(store) == 0


@pytest.mark.parametrize(("data", "operation"), OPERATIONS)
def test_name_stays_locked_if_the_bucket_may_still_replace_the_file(
    open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch, data: bytes, operation: str
) -> None:
    store, impatient = open_s3(retry_with_body=0.0), open_s3(retry=0.0)
    version = publish(store, NAME, b"old").version

    def give_no_answer(send: Send, request: Request) -> Answer:
        if str(request.key).endswith(NAME):
            raise ConnectionResetError
        return send(request)

    with monkeypatch.context() as patch:
        around(patch, store.client, operation, give_no_answer)
        with pytest.raises(OutcomeUnknown):
            replace(store, NAME, data, version)

    with pytest.raises(NameReserved):
        impatient.delete(NAME)
    with pytest.raises(NameReserved):
        replace(impatient, NAME, b"another", version)
    assert read(store, NAME) == b"old"
    assert names(store) == [NAME]


def test_lock_of_a_dead_process_is_taken_over_once_it_is_old(
    store: S3Store, open_s3: OpenStore
) -> None:
    version = publish(store, NAME, b"old").version
    lock = locked_name(store.client, NAME, lambda: None)
    lock.__enter__()  # and its process dies

    with pytest.raises(NameReserved):
        replace(open_s3(retry=0.0), NAME, SMALL, version)
    replace(open_s3(reservation=EXPIRED), NAME, SMALL, version)

    assert read(store, NAME) == SMALL


def test_old_lock_that_nobody_needs_is_swept(store: S3Store, client: S3Client) -> None:
    lock = locked_name(client, NAME, lambda: None)
    lock.__enter__()  # and its process dies
    sweep.sweep(client)
    assert locks(store) == 1
    sweep.sweep(client, abandoned=ANY_AGE)
    assert locks(store) == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda store, version: store.delete(NAME, version),
        lambda store, version: replace(store, NAME, SMALL, version),
    ],
    ids=["delete", "replace"],
)
def test_waiting_for_a_lock_ends_when_the_version_is_gone(
    store: S3Store, another_store: S3Store, act: Callable[[S3Store, str], object]
) -> None:
    """It does not wait for the end of the time limit."""
    version = publish(store, NAME, b"old").version
    with locked_name(store.client, NAME, lambda: None):
        store.client.delete_object(NAME)
        with pytest.raises(NotFound):
            act(another_store, version)


@pytest.mark.parametrize(("data", "operation"), OPERATIONS)
def test_file_of_another_program_that_came_meanwhile_is_not_replaced(
    store: S3Store,
    another_store: S3Store,
    client: S3Client,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    operation: str,
) -> None:
    version = publish(store, NAME, b"old").version

    def write_first(send: Send, request: Request) -> Answer:
        if str(request.key).endswith(NAME):
            another_store.client.put_object(NAME, b"theirs")
        return send(request)

    around(monkeypatch, client, operation, write_first)
    with pytest.raises(VersionChanged):
        replace(store, NAME, data, version)
    assert read(store, NAME) == b"theirs"
    assert locks(store) == 0


@pytest.mark.parametrize("is_done", [False, True])
def test_process_that_dies_around_the_last_request_leaves_the_old_file_or_the_new_one(
    store: S3Store, open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    version = publish(store, NAME, b"old").version
    complete = S3Client.complete_multipart_upload

    def die(self: S3Client, *arguments: Any, **options: Any) -> str:
        if is_done:
            complete(self, *arguments, **options)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(S3Client, "complete_multipart_upload", die)
        for cleaning in ("delete_object", "abort_multipart_upload"):
            patch.setattr(S3Client, cleaning, die_at_once)
        with pytest.raises(Died):
            replace(store, NAME, LARGE, version)

    assert read(store, NAME) == (LARGE if is_done else b"old")
    successor = open_s3(reservation=EXPIRED)
    replace(successor, NAME, SMALL, successor.stat(NAME).version)
    assert read(store, NAME) == SMALL


def test_reader_that_needs_another_request_breaks_off_and_never_gets_new_bytes(
    store: S3Store, another_store: S3Store
) -> None:
    old = publish(store, NAME, b"old bytes")
    opened = store.open(NAME)
    opened.begin_range(1, 3)
    replace(another_store, NAME, SMALL, old.version)
    with opened.body as body:
        assert body.read(2) == b"ld"
        opened.seek_range(4, 6)
        with pytest.raises(StorageUnavailable):
            body.read(2)


def test_reader_that_has_requested_nothing_yet_learns_that_the_file_was_replaced(
    store: S3Store, another_store: S3Store
) -> None:
    old = publish(store, NAME, b"old bytes")
    opened = store.open(NAME)
    replace(another_store, NAME, SMALL, old.version)
    with opened.body, pytest.raises(VersionChanged):
        opened.begin_range(1, 3)


@pytest.mark.parametrize("field", [{"Range": "bytes=1-3"}, {"If-None-Match": '"x"'}])
def test_download_that_opens_a_file_just_before_it_is_replaced_gets_the_new_one(
    store: S3Store,
    another_store: S3Store,
    seaweed: SeaweedClient,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: dict[str, str],
) -> None:
    old = publish(store, NAME, b"old bytes")
    client = application(tmp_path, STORE_URL=seaweed.url(prefix)).test_client()
    open_file, opened = S3Store.open, []

    def open_and_replace(self: S3Store, *arguments: Any, **options: Any) -> Opened:
        opened.append(open_file(self, *arguments, **options))
        if len(opened) == 1:
            replace(another_store, NAME, SMALL, old.version)
        return opened[-1]

    monkeypatch.setattr(S3Store, "open", open_and_replace)
    answer = client.get(f"/download/{NAME}", headers=field)
    assert answer.data == (SMALL[1:4] if "Range" in field else SMALL)
    assert answer.headers["ETag"] != f'"{old.version}"'
    assert len(opened) == 2
    assert all(one.body.closed for one in opened)


def test_description_of_a_replaced_file_is_there_for_its_readers_and_swept_later(
    store: S3Store, another_store: S3Store, client: S3Client
) -> None:
    """That of a large file is in an object of its own."""
    writer = store.writer(len(LARGE), stream_to=NAME)
    writer.write(LARGE)
    old = writer.publish(NAME, content_of(LARGE))
    writer.close()
    head = client.head_object(NAME)
    newer = LARGE[::-1]

    replace(store, NAME, newer, old.version)

    assert another_store._metadata_store.describe(NAME, head) == old
    assert len(list_objects(client, METADATA)) == 2
    sweep.sweep(client, abandoned=ANY_AGE)
    assert len(list_objects(client, METADATA)) == 1
    assert another_store.stat(NAME).content == content_of(newer)
