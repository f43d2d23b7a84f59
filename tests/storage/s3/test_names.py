"""Names and prefixes with characters that URLs, signatures and XML treat specially."""

import secrets

import pytest

from fileservice.names import FileName
from fileservice.storage import NameTaken, StorageUnavailable
from fileservice.storage.s3 import sweep
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.listing import list_multipart_uploads
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.store import S3Store
from tests.storage.s3.conftest import ANY_AGE
from tests.storage.store_contract import content_of, publish, read
from tests.support.seaweed import SeaweedClient

MIB = 1 << 20
NAMES = [
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
ODD = "/odd%20+%25'%C3%BC&"


@pytest.mark.parametrize(
    "raw", [NAMES[0], *(pytest.param(raw, marks=pytest.mark.thorough) for raw in NAMES[1:])]
)
def test_name_can_be_published_listed_read_deleted_and_swept(
    seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch, raw: str
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("it does not answer")

    store = S3Store(Location.parse(seaweed.url(prefix + ODD)), verified=True)
    name = FileName.parse(raw)
    large = secrets.token_bytes(9 * MIB)
    for data in (b"small", large):
        writer = store.writer(stream_to=name)
        try:
            writer.write(data)
            file = writer.publish(name, content_of(data))
        finally:
            writer.close()
        assert read(store, name) == data
        assert store.stat(name) == file
        assert [listed.name for listed in store.list()] == [name]
        with pytest.raises(NameTaken):
            publish(store, name)
        store.delete(name, file.version)
    abandoned = store.writer(stream_to=name)
    abandoned.write(large)
    with monkeypatch.context() as patch:
        patch.setattr(S3Client, "abort_multipart_upload", fail)
        abandoned.close()
    [upload] = list_multipart_uploads(store.client)
    assert upload.key == name
    sweep.sweep(store.client, abandoned=ANY_AGE)
    assert list(list_multipart_uploads(store.client)) == []


def test_pieces_are_copied_from_keys_with_special_characters(
    seaweed: SeaweedClient, prefix: str
) -> None:
    """UploadPartCopy names its source in a header field."""
    store = S3Store(Location.parse(seaweed.url(prefix + ODD, copy="true")), verified=True)
    data = secrets.token_bytes(9 * MIB)
    publish(store, NAMES[0], data)
    assert read(store, NAMES[0]) == data
