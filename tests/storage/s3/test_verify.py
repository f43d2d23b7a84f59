"""Which URLs and buckets the service starts on."""

import pytest

from fileservice.storage import StorageUnavailable, open_store
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.location import Location
from tests.support.rows import every_row
from tests.support.seaweed import BUCKET, SeaweedClient


def test_bucket_that_honours_conditions_is_accepted(seaweed: SeaweedClient, prefix: str) -> None:
    open_store(seaweed.url(prefix), fsync=True).check()
    assert seaweed.keys(prefix) == []
    assert seaweed.unfinished(prefix) == []


def test_bucket_that_ignores_conditions_on_put_object_is_refused(
    seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_object = S3Client.put_object

    def put_anyway(self: S3Client, key: str, data: bytes, **_: object) -> str:
        return put_object(self, key, data)

    monkeypatch.setattr(S3Client, "put_object", put_anyway)
    with pytest.raises(StorageUnavailable, match=r"does not honour .*PutObject, If-None-Match"):
        open_store(seaweed.url(prefix), fsync=True)


def test_bucket_that_ignores_if_match_on_put_object_is_refused(
    seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_object = S3Client.put_object

    def ignore_if_match(
        self: S3Client, key: str, data: bytes, *, if_match: str | None = None, **options: str
    ) -> str:
        return put_object(self, key, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(S3Client, "put_object", ignore_if_match)
    with pytest.raises(StorageUnavailable, match=r"does not honour .*PutObject, If-Match"):
        open_store(seaweed.url(prefix), fsync=True)


def test_bucket_that_ignores_if_match_on_delete_object_is_refused(
    seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_object = S3Client.delete_object

    def delete_anyway(self: S3Client, key: str, etag: str | None = None) -> None:
        delete_object(self, key)

    monkeypatch.setattr(S3Client, "delete_object", delete_anyway)
    with pytest.raises(StorageUnavailable, match=r"does not honour .*DeleteObject, If-Match"):
        open_store(seaweed.url(prefix), fsync=True)


def test_bucket_that_ignores_if_match_on_complete_multipart_upload_is_refused(
    seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Client, "complete_multipart_upload", lambda *_, **__: None)
    with pytest.raises(StorageUnavailable, match="CompleteMultipartUpload"):
        open_store(seaweed.url(prefix), fsync=True)


def test_bucket_that_does_not_exist_is_refused(seaweed: SeaweedClient) -> None:
    with pytest.raises(StorageUnavailable, match="no such bucket"):
        open_store(seaweed.url("x").replace(BUCKET, "elsewhere"), fsync=True)


@every_row(
    "url",
    ["s3://", "s3:///p", "s3://B/p", "s3://bucket/p?endpoint=ftp://x", "s3://bucket/p?what=1",
     "s3://bucket/p?region=a&region=b", "s3://bucket/p#f", "s3://bucket/p?copy=perhaps"],
)  # fmt: skip
def test_malformed_url_raises_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|takes"):
        Location.parse(url)


def test_url_names_bucket_prefix_endpoint_and_region() -> None:
    assert Location.parse("s3://bucket") == Location("bucket", "", None, None)
    assert Location.parse("s3://bucket/a%20b/c/?endpoint=http://h:1&region=r") == Location(
        "bucket", "a b/c/", "http://h:1", "r"
    )
    assert not Location.parse("s3://bucket?copy=false").copy
