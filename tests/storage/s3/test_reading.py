"""Files in a bucket are read by ranges, and those that others put there are served."""

import secrets

import pytest

from fileservice.storage import Content, StorageUnavailable
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.store import S3Store
from tests.storage.store_contract import NAME, names, publish, read
from tests.support.seaweed import BUCKET, SeaweedClient

MIB = 1 << 20


def test_only_the_bytes_that_are_asked_for_are_requested(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = secrets.token_bytes(3 * MIB)
    publish(store, NAME, data)
    ranges = [(5, 10), (MIB, MIB + 70_000), (0, 1), (3_145_700, 3 * MIB)]
    get_object, requested = S3Client.get_object, []

    def remember(self: S3Client, key: str, first: int, end: int, etag: str) -> object:
        requested.append((first, end))
        return get_object(self, key, first, end, etag)

    monkeypatch.setattr(S3Client, "get_object", remember)
    opened = store.open(NAME)
    with opened.body as body:
        for first, end in ranges:
            opened.seek_range(first, end)
            assert body.read(end - first) == data[first:end]
    assert requested == ranges


def test_file_that_is_replaced_while_it_is_read_raises_storage_unavailable(
    store: S3Store, another_store: S3Store
) -> None:
    publish(store, NAME, b"first version")
    with store.open(NAME).body as body:
        assert body.read(5) == b"first"
        another_store.delete(NAME)
        publish(another_store, NAME, b"other version")
        body.seek(0)
        with pytest.raises(StorageUnavailable, match="removed while it was read"):
            body.read(5)


def test_seek_before_the_beginning_raises_value_error(store: S3Store) -> None:
    publish(store, NAME, b"data")
    with store.open(NAME).body as body, pytest.raises(ValueError, match="before the beginning"):
        body.seek(-1)


def test_objects_of_other_programs_are_served_if_they_can_be_named(
    store: S3Store, seaweed: SeaweedClient, prefix: str
) -> None:
    for key in ("a.txt", "folder/b.txt", ".hidden.txt", "con.txt"):
        seaweed.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"theirs")
    assert names(store) == ["a.txt"]
    file = store.stat(NAME)
    assert (file.size, file.content) == (6, Content("text/plain"))
    assert read(store, NAME) == b"theirs"
    seaweed.client.put_object(Bucket=BUCKET, Key=f"{prefix}/a.txt", Body=b"others")
    assert store.stat(NAME).version != file.version
