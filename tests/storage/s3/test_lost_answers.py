"""Requests that succeeded although their answers were lost, so that they are repeated."""

from collections.abc import Callable
from http.client import IncompleteRead

import pytest

from fileservice.storage import NotFound
from fileservice.storage.s3.bucket import Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.layout import LEASES, piece_key, record_key, upload_folder
from fileservice.storage.s3.store import S3Store
from tests.storage.s3.requests import Send, around, lost
from tests.storage.store_contract import NAME, content_of, publish, read

MIB = 1 << 20


class LostAnswers:
    """Carries out requests of an operation, and loses the answers to the first for some keys."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: S3Client, operation: str) -> None:
        self._key = ""
        self.lost = 0
        around(monkeypatch, client, operation, self._lose)

    def lose_next(self, key: str) -> None:
        """Lose the answer to the next request whose key ends so."""
        self._key = key

    def _lose(self, send: Send, request: Request) -> Answer:
        answer = send(request)
        if self._key and str(request.key).endswith(self._key):
            self._key = ""
            self.lost += 1
            raise lost(answer)
        return answer


@pytest.fixture
def lost_puts(monkeypatch: pytest.MonkeyPatch, client: S3Client) -> LostAnswers:
    return LostAnswers(monkeypatch, client, "put_object")


def test_small_file_is_published(store: S3Store, lost_puts: LostAnswers) -> None:
    lost_puts.lose_next(NAME)
    file = publish(store, NAME, b"once")
    assert lost_puts.lost == 1
    assert (file.size, read(store, NAME)) == (4, b"once")


@pytest.mark.parametrize("operation", ["put_object", "complete_multipart_upload"])
def test_large_file_is_published(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, client: S3Client, operation: str
) -> None:
    """PutObject reserves the name, and CompleteMultipartUpload publishes the file."""
    data = b"x" * (9 * MIB)
    answers = LostAnswers(monkeypatch, client, operation)
    writer = store.writer(stream_to=NAME)
    try:
        writer.write(data)
        answers.lose_next(NAME)
        assert writer.publish(NAME, content_of(data)).size == len(data)
    finally:
        writer.close()
    assert answers.lost == 1
    assert read(store, NAME) == data


@pytest.mark.parametrize("published_again", [True, False])
def test_deletion_is_done_and_removes_no_other_file(
    store: S3Store,
    another_store: S3Store,
    client: S3Client,
    monkeypatch: pytest.MonkeyPatch,
    published_again: bool,
) -> None:
    first = publish(store, NAME, b"first")
    removed = []

    def lose_once(send: Send, request: Request) -> Answer:
        answer = send(request)
        if not removed:
            removed.append(request.key)
            if published_again:
                publish(another_store, NAME, b"second")
            raise lost(answer)
        return answer

    around(monkeypatch, client, "delete_object", lose_once)
    store.delete(NAME, first.version)
    assert removed
    if published_again:
        assert read(store, NAME) == b"second"
    else:
        with pytest.raises(NotFound):
            store.stat(NAME)
    with pytest.raises(NotFound):
        store.delete(NAME, first.version)


def test_lease_is_acquired_and_renewed(store: S3Store, lost_puts: LostAnswers) -> None:
    upload = store.uploads.create(b"record", None)
    lost_puts.lose_next(LEASES + upload)
    writer = store.locker.lock(upload)
    assert lost_puts.lost == 1
    writer.write(b"0123456789")
    lost_puts.lose_next(LEASES + upload)
    writer.truncate(5)
    assert lost_puts.lost == 2
    writer.sync()
    writer.close()
    assert store.uploads.read(upload).size == 5


def test_record_is_replaced_by_its_writer(store: S3Store, lost_puts: LostAnswers) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    for record in (b"one", b"two"):
        lost_puts.lose_next(record_key(upload))
        writer.update(record)
    writer.close()
    assert lost_puts.lost == 2
    assert store.uploads.read(upload).record == b"two"


def test_piece_is_written_and_truncated(store: S3Store, lost_puts: LostAnswers) -> None:
    upload = store.uploads.create(b"record", None)
    key = piece_key(upload_folder(upload), 0)
    writer = store.locker.lock(upload)
    try:
        lost_puts.lose_next(key)
        writer.write(b"0123456789")
        writer.sync()
        assert lost_puts.lost == 1
        lost_puts.lose_next(key)
        writer.truncate(5)
        assert lost_puts.lost == 2
        assert (writer.size, writer.read_at(10, 0)) == (5, b"01234")
    finally:
        writer.close()


def test_record_is_read_again_when_the_answer_breaks_off(
    store: S3Store, client: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    broken = []

    def break_off_once(send: Send, request: Request) -> Answer:
        answer = send(request)
        if not broken:
            broken.append(answer)
            answer.read = break_off  # type: ignore[method-assign]
        return answer

    def break_off(_: int | None = None) -> bytes:
        raise IncompleteRead(b"", 6)

    around(monkeypatch, client, "get_object", break_off_once)
    assert store.uploads.read(upload).record == b"record"
    assert broken


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("changed_since", [False, True])
def test_change_of_a_private_file_is_made_once(
    store: S3Store,
    another_store: S3Store,
    client: S3Client,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,
    changed_since: bool,
) -> None:
    """Also if another process has changed the file before the request is repeated."""

    def add(text: bytes) -> Callable[[bytes | None], bytes]:
        return lambda content: (content or b"") + text

    if exists:
        store.private_files.update("folder/one", add(b"0"))
    written = []

    def lose_once(send: Send, request: Request) -> Answer:
        answer = send(request)
        if not written:
            written.append(request.key)
            if changed_since:
                another_store.private_files.update("folder/one", add(b"2"))
            raise lost(answer)
        return answer

    around(monkeypatch, client, "put_object", lose_once)
    store.private_files.update("folder/one", add(b"1"))

    assert written
    expected = (b"0" if exists else b"") + b"1" + (b"2" if changed_since else b"")
    assert another_store.private_files.read("folder/one") == expected
