"""Files that expire in a bucket: the index, readers, and processes that die."""

from itertools import count
from typing import Any

import pytest

from fileservice.storage import NameReserved, NotFound, StorageFull, Store
from fileservice.storage.s3.bucket import Bucket, Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.layout import EXPIRING, EXPIRY, METADATA
from fileservice.storage.s3.listing import list_objects
from fileservice.storage.s3.name_lock import locked_name
from fileservice.storage.s3.store import S3Store
from tests.storage.contract.expiry import FAR, LATER, MIB, OVER, due, remove_all
from tests.storage.contract.files import StoreAt
from tests.storage.s3.conftest import EXPIRED, OpenStore
from tests.storage.store_contract import NAME, names, publish, read

HOUR = 3600.0


class Died(BaseException):
    """Ends a process without any further request."""


class DyingBucket:
    """A bucket, in a process that dies once request `number`, from 0 on, was carried out."""

    def __init__(self, bucket: Bucket, number: int) -> None:
        self._bucket = bucket
        self._left = number
        self.died = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def send(self, request: Request) -> Answer:
        if self.died:
            raise Died
        answer = self._bucket.send(request)
        if self._left == 0:
            answer.close()
            self.died = True
            raise Died
        self._left -= 1
        return answer


def dies_at(number: int, store: S3Store, act: Any) -> bool:
    """Run `act` in a process that dies at the request with this number; return whether it did."""
    bucket = store.client.bucket
    dying = DyingBucket(bucket, number)
    store.client.bucket = dying  # type: ignore[assignment]
    try:
        act()
    except Died:
        assert dying.died
    finally:
        store.client.bucket = bucket
    return dying.died


def index_of(client: S3Client) -> list[str]:
    return [o.key for folder in (EXPIRY, EXPIRING) for o in list_objects(client, folder)]


@pytest.mark.parametrize(
    "size", [4, pytest.param(9 * MIB, marks=pytest.mark.thorough, id="in parts")]
)
def test_process_that_dies_at_any_request_of_a_publication_leaves_no_file_for_ever(
    open_s3: OpenStore, client: S3Client, size: int
) -> None:
    store, later = open_s3(reservation=EXPIRED), open_s3(reservation=EXPIRED, clock=lambda: LATER)
    visible = []
    for number in count():
        if not dies_at(number, store, lambda: publish(store, NAME, b"x" * size, expires=OVER)):
            break
        visible.append(later.is_taken(NAME))

        assert due(later) == ([NAME] if visible[-1] else [])
        assert names(later) == []
        remove_all(later)

    assert len(set(visible)) == 2
    remove_all(later)
    assert due(open_s3(clock=lambda: LATER)) == []
    assert index_of(client) == []


@pytest.mark.thorough
def test_process_that_dies_at_any_request_of_a_removal_leaves_a_file_that_is_removed_later(
    open_s3: OpenStore, store_at: StoreAt, client: S3Client
) -> None:
    # A lock of the name that a dead process leaves may be taken at once, not after minutes.
    store, later = open_s3(reservation=EXPIRED), open_s3(reservation=EXPIRED, clock=lambda: LATER)
    for number in count():
        file = publish(store, NAME, expires=OVER)
        died = dies_at(number, store, lambda file=file: store.expired.remove(file))
        assert names(store) == []
        if not died:
            break
        remove_all(later)
        assert not later.is_taken(NAME)

    assert due(store_at(LATER)) == []
    assert index_of(client) == []


def test_expired_file_stays_for_an_hour_for_those_who_read_it(
    store: S3Store, store_at: StoreAt
) -> None:
    data = b"0123456789" * MIB
    publish(store, NAME, data, expires=OVER)
    with store_at(OVER - 1).open(NAME).body as body:
        assert body.read(10) == data[:10]
        for now in (OVER, OVER + HOUR - 1):
            reader = store_at(now)
            assert due(reader) == []
            with pytest.raises(NotFound):
                reader.stat(NAME)

        body.seek(9 * MIB)
        assert body.read(10) == data[9 * MIB : 9 * MIB + 10]

    assert remove_all(store_at(OVER + HOUR)) == [NAME]


@pytest.mark.parametrize("is_locked", [False, True])
def test_expired_file_is_removed_from_a_full_bucket_unless_it_is_being_replaced(
    store: S3Store, open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    """Otherwise the bucket would stay full, though the files in it have expired."""
    file = publish(store, NAME, expires=OVER)
    lock = locked_name(open_s3().client, NAME, lambda: None)
    if is_locked:
        lock.__enter__()

    def fail(*_arguments: object, **_options: object) -> str:
        raise StorageFull("there is no room left for the file: QuotaExceeded")

    monkeypatch.setattr(S3Client, "put_object", fail)
    if is_locked:
        with pytest.raises(NameReserved):
            store.expired.remove(file)
    else:
        assert store.expired.remove(file) == file
    assert (names(store), store.is_taken(NAME)) == ([], is_locked)


@pytest.mark.thorough
def test_entries_outlive_a_removed_file_so_that_no_list_shows_it(
    store: S3Store, store_at: StoreAt, client: S3Client
) -> None:
    publish(store, NAME, expires=OVER)
    assert remove_all(store_at(OVER + HOUR)) == [NAME]
    assert len(index_of(client)) == 2

    due(store_at(OVER + HOUR + 600))
    assert len(index_of(client)) == 2
    due(store_at(OVER + HOUR + 601))

    assert index_of(client) == []


def test_entry_without_a_file_is_looked_at_once(open_s3: OpenStore, client: S3Client) -> None:
    now = OVER + HOUR
    sweeping = open_s3(clock=lambda: now)
    publish(sweeping, NAME, expires=OVER)
    remove_all(sweeping)
    assert due(sweeping) == []

    assert not dies_at(1, sweeping, lambda: due(sweeping))  # one request lists the entries


@pytest.mark.thorough
def test_metadata_of_a_large_file_is_removed_with_it(
    store: S3Store, store_at: StoreAt, client: S3Client
) -> None:
    publish(store, NAME, b"x" * 9 * MIB, expires=OVER)
    assert len(list_objects(client, METADATA)) == 1

    assert remove_all(store_at(LATER)) == [NAME]

    assert list_objects(client, METADATA) == []


def test_entry_that_says_more_than_its_file_is_not_believed_once_its_time_is_over(
    store: S3Store, store_at: StoreAt
) -> None:
    """A process that died before it published the name has left an entry."""
    dies_at(1, store, lambda: publish(store, NAME, b"never", expires=FAR))
    file = publish(store, NAME, b"kept")

    for now in (OVER, FAR, FAR + 1, FAR + 2 * HOUR):
        later: Store = store_at(now)
        assert names(later) == [NAME]
        assert later.stat(NAME) == file
        assert due(later) == []
    assert [listed.expires for listed in store_at(FAR).list()] == [None]


def test_presigned_url_ends_with_the_file(store: S3Store, store_at: StoreAt) -> None:
    file = publish(store, NAME, expires=OVER)

    for left, seconds in ((1000, 300), (300, 300), (299, 299), (1.5, 1), (0.5, 1)):
        url = store_at(OVER - left).presigned_url(file, {})
        assert url
        assert f"X-Amz-Expires={seconds}&" in url + "&"


def test_file_that_is_read_when_another_takes_its_name_breaks_off(
    store: S3Store, store_at: StoreAt
) -> None:
    """The name is free at once, and a bucket has one object for it."""
    file = publish(store, NAME, b"old" * MIB, expires=OVER)
    with store_at(OVER - 1).open(NAME).body as body:
        body.seek(MIB)
        store.expired.remove(file)
        publish(store, NAME, b"new")

        with pytest.raises(Exception, match="removed while it was read"):
            body.read(10)
    assert read(store, NAME) == b"new"
