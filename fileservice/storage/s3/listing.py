"""Listings of a bucket: objects by ListObjectsV2, and multipart uploads that have not ended."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.documents import Document
from fileservice.storage.s3.errors import ObjectMissing

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
    query = {"max-keys": str(min(first_page or _LARGEST_PAGE, _LARGEST_PAGE))}
    if folders:
        query["delimiter"] = "/"
    if after:
        query["start-after"] = client.prefix + after
    skipped = len(client.prefix)
    while True:
        page, now = client.list_objects_v2(under, query)
        objects: list[ListedObject | str] = []
        for content in page.all("Contents"):
            modified = page.time("LastModified", content)
            objects.append(
                ListedObject(
                    page.decoded("Key", content)[skipped:],
                    page.number("Size", content),
                    page.text("ETag", content),
                    modified,
                    (now - modified).total_seconds(),
                )
            )
        for folder in page.all("CommonPrefixes"):
            objects.append(page.decoded("Prefix", folder)[skipped:])
        yield objects
        if not _is_truncated(page):
            return
        query.pop("start-after", None)
        query["continuation-token"] = page.text("NextContinuationToken")
        query["max-keys"] = str(_LARGEST_PAGE)


def list_objects(client: S3Client, under: str) -> list[ListedObject]:
    """Return all objects whose keys begin with `under` (ListObjectsV2)."""
    pages = list_pages(client, under)
    return [listed for page in pages for listed in page if isinstance(listed, ListedObject)]


def list_multipart_uploads(client: S3Client) -> Iterator[MultipartUpload]:
    """Yield the multipart uploads that have not ended (ListMultipartUploads, ListParts)."""
    markers: dict[str, str] = {}
    while True:
        page, now = client.list_multipart_uploads(markers)
        for upload in page.all("Upload"):
            key = page.decoded("Key", upload)[len(client.prefix) :]
            upload_id = page.text("UploadId", upload)
            with suppress(ObjectMissing):  # it has just ended
                parts = _times_of_parts(client, key, upload_id)
                latest = max([page.time("Initiated", upload), *parts])
                yield MultipartUpload(key, upload_id, (now - latest).total_seconds())
        if not _is_truncated(page):
            return
        markers = {
            "key-marker": page.decoded("NextKeyMarker"),
            "upload-id-marker": page.text("NextUploadIdMarker"),
        }


def _times_of_parts(client: S3Client, key: str, upload_id: str) -> Iterator[datetime]:
    """Yield when each part of an upload was written (ListParts). Raises ObjectMissing."""
    marker: dict[str, str] = {}
    while True:
        page = client.list_parts(key, upload_id, marker)
        for part in page.all("Part"):
            yield page.time("LastModified", part)
        if not _is_truncated(page):
            return
        marker = {"part-number-marker": page.text("NextPartNumberMarker")}


def _is_truncated(page: Document) -> bool:
    return page.find("IsTruncated") == "true"
