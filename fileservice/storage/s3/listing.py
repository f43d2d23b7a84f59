"""Listings of a bucket: objects by ListObjectsV2, and multipart uploads that have not ended."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.objects import date_of

_LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in the answer to ListObjectsV2."""

    key: str
    """Relative to the prefix of the store."""
    size: int
    """Bytes."""
    etag: str
    modified: datetime
    age: float
    """Seconds since it was written, by the clock of the bucket."""


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    """Relative to the prefix of the store."""
    upload_id: str
    age: float
    """Seconds since its latest part was written, or since it was created."""


def list_pages(
    client: S3Client,
    under: str = "",
    after: str = "",
    *,
    folders: bool = False,
    first_page: int | None = None,
) -> Iterator[list[ListedObject | str]]:
    """Yield pages of the objects whose keys begin with `under` (ListObjectsV2).

    They come in the order of the UTF-8 bytes of their keys, beginning after `after`. With
    `folders`, keys with a further slash are yielded once, as the text up to that slash
    (CommonPrefixes).
    `first_page` is how many keys the first page has at most; None for as many as S3 allows.
    """
    parameters: dict[str, Any] = {"MaxKeys": min(first_page or _LARGEST_PAGE, _LARGEST_PAGE)}
    if folders:
        parameters["Delimiter"] = "/"
    if after:
        parameters["StartAfter"] = client.prefix + after
    skipped = len(client.prefix)
    while True:
        page = client.list_objects_v2(under, **parameters)
        now = date_of(page)
        objects: list[ListedObject | str] = [
            ListedObject(
                content["Key"][skipped:],
                content["Size"],
                content["ETag"],
                content["LastModified"],
                (now - content["LastModified"]).total_seconds(),
            )
            for content in page.get("Contents", ())
        ]
        yield objects + [folder["Prefix"][skipped:] for folder in page.get("CommonPrefixes", ())]
        if not page.get("IsTruncated"):
            return
        parameters.pop("StartAfter", None)
        parameters["ContinuationToken"] = page["NextContinuationToken"]
        parameters["MaxKeys"] = _LARGEST_PAGE


def list_objects(client: S3Client, under: str) -> list[ListedObject]:
    """Return all objects whose keys begin with `under` (ListObjectsV2)."""
    pages = list_pages(client, under)
    return [listed for page in pages for listed in page if isinstance(listed, ListedObject)]


def list_multipart_uploads(client: S3Client) -> Iterator[MultipartUpload]:
    """Yield the multipart uploads that have not ended (ListMultipartUploads, ListParts)."""
    markers: dict[str, str] = {}
    while True:
        page = client.list_multipart_uploads(**markers)
        for upload in page.get("Uploads", ()):
            key, upload_id = upload["Key"][len(client.prefix) :], upload["UploadId"]
            with suppress(ObjectMissing):  # it has just ended
                parts = client.list_parts(key, upload_id)
                latest = max([upload["Initiated"], *(part["LastModified"] for part in parts)])
                age = (date_of(page) - latest).total_seconds()
                yield MultipartUpload(key, upload_id, age)
        if not page.get("IsTruncated"):
            return
        markers = {name: page[f"Next{name}"] for name in ("KeyMarker", "UploadIdMarker")}
