"""Bucket: the calls of S3 that the store is made of, each with its time limits and its retries.

Keys here are relative to the prefix. Every call may raise StorageUnavailable and StorageFull, and
what `faults` names.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from fileservice.storage.s3.faults import Conflict, Missing, errors_named
from fileservice.storage.s3.location import Location

T = TypeVar("T")

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=256,
    # The bytes have a SHA-256 of their own; to hash them twice more would cost half the speed.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"payload_signing_enabled": False},
)
_CONFLICTS = 6
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """What the store says of an object; `age` in seconds, by the store's own clock."""

    size: int
    etag: str
    modified: datetime
    media_type: str
    metadata: Mapping[str, str]
    age: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in a listing."""

    key: str
    size: int
    etag: str
    modified: datetime
    age: float


class Bucket:
    """One place in one bucket. Safe for threads, and for greenlets where sockets are patched."""

    def __init__(self, location: Location) -> None:
        self.prefix = location.prefix
        config = _CONFIG
        if location.endpoint:
            config = _CONFIG.merge(Config(s3={**_CONFIG.s3, "addressing_style": "path"}))
        with errors_named():
            self._client: Any = boto3.session.Session().client(
                "s3", endpoint_url=location.endpoint, region_name=location.region, config=config
            )
        self._bucket = location.bucket

    def check(self) -> None:
        """Raise StorageUnavailable unless the bucket is there."""
        with errors_named():
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self.prefix, MaxKeys=1)

    def put(
        self,
        key: str,
        data: bytes | bytearray,
        *,
        media_type: str = "application/octet-stream",
        metadata: Mapping[str, str] = {},  # never changed
        only: str | None = None,
    ) -> str:
        """Write an object, its ETag. `only` is an ETag to replace, or * to write where none is."""
        condition = (
            {} if only is None else {"IfNoneMatch": only} if only == "*" else {"IfMatch": only}
        )
        answer = self._decided(
            lambda: self._client.put_object(
                **self._at(key),
                Body=data,
                ContentType=media_type,
                Metadata=dict(metadata),
                **condition,
            )
        )
        return str(answer["ETag"])

    def head(self, key: str) -> Head:
        """Describe an object. Raises Missing."""
        with errors_named():
            return _head(self._client.head_object(**self._at(key)))

    def get(
        self, key: str, first: int | None = None, end: int | None = None, etag: str | None = None
    ) -> tuple[Head, Any]:
        """Begin to read an object, or its bytes from `first` to before `end`, and describe it.

        Raises Missing, Unmet if it has another ETag. The second is a stream that must be closed.
        """
        wanted = (
            {} if first is None else {"Range": f"bytes={first}-{'' if end is None else end - 1}"}
        )
        condition = {} if etag is None else {"IfMatch": etag}
        with errors_named():
            answer = self._client.get_object(**self._at(key), **wanted, **condition)
        return _head(answer), answer["Body"]

    def read(self, key: str, first: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a small object, or some of a large one. Raises Missing."""
        for attempt in range(3):
            _, body = self.get(key, first, end)
            try:
                with errors_named():
                    return bytes(body.read())
            except Exception:
                if attempt == 2:
                    raise
            finally:
                body.close()
        raise AssertionError

    def delete(self, key: str, etag: str | None = None) -> None:
        """Remove an object; with `etag`, only if it has that one, else Unmet or Missing."""
        condition = {} if etag is None else {"IfMatch": etag}
        self._decided(lambda: self._client.delete_object(**self._at(key), **condition))

    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove objects, whether they are there or not."""
        for begin in range(0, len(keys), _DELETED_AT_ONCE):
            objects = [{"Key": self.prefix + key} for key in keys[begin : begin + _DELETED_AT_ONCE]]
            with errors_named():
                self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
                )

    def pages(
        self, under: str = "", after: str = "", *, folders: bool = False, first_page: int = 1000
    ) -> Iterator[list[Entry | str]]:
        """Pages of what is under a key, in the order of its UTF-8 bytes, from past `after`.

        With `folders`, what lies under a further slash comes once, as the text up to that slash.
        """
        asked: dict[str, Any] = {"StartAfter": self.prefix + after} if after else {}
        if folders:
            asked["Delimiter"] = "/"
        count = first_page
        while True:
            with errors_named():
                page = self._client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self.prefix + under, MaxKeys=count, **asked
                )
            now, cut = _date(page), len(self.prefix)
            found: list[Entry | str] = [
                Entry(o["Key"][cut:], o["Size"], o["ETag"], o["LastModified"],
                      (now - o["LastModified"]).total_seconds())
                for o in page.get("Contents", ())
            ]  # fmt: skip
            found += [folder["Prefix"][cut:] for folder in page.get("CommonPrefixes", ())]
            yield found
            if not page.get("IsTruncated"):
                return
            asked.pop("StartAfter", None)
            asked["ContinuationToken"] = page["NextContinuationToken"]
            count = 1000

    def entries(self, under: str) -> list[Entry]:
        """All objects under a key."""
        return [entry for page in self.pages(under) for entry in page if isinstance(entry, Entry)]

    def begin_parts(self, key: str, media_type: str, metadata: Mapping[str, str]) -> str:
        """Begin an object that comes in parts; the id of this upload."""
        with errors_named():
            answer = self._client.create_multipart_upload(
                **self._at(key), ContentType=media_type, Metadata=dict(metadata)
            )
        return str(answer["UploadId"])

    def put_part(self, key: str, upload: str, number: int, data: bytes | bytearray) -> str:
        """Write one part; its ETag."""
        with errors_named():
            answer = self._client.upload_part(
                **self._at(key), UploadId=upload, PartNumber=number, Body=data
            )
        return str(answer["ETag"])

    def copy_part(self, key: str, upload: str, number: int, source: str) -> str:
        """Make a part of an object that is in the bucket; its ETag."""
        with errors_named():
            answer = self._client.upload_part_copy(
                **self._at(key), UploadId=upload, PartNumber=number, CopySource=self._at(source)
            )
        return str(answer["CopyPartResult"]["ETag"])

    def end_parts(self, key: str, upload: str, etags: Sequence[str], instead_of: str) -> None:
        """Make an object of the parts, in the place of one with a certain ETag.

        Raises Unmet or Missing where that is not there, or the upload was ended before.
        """
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
        self._decided(
            lambda: self._client.complete_multipart_upload(
                **self._at(key),
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                IfMatch=instead_of,
            )
        )

    def drop_parts(self, key: str, upload: str) -> None:
        """Give up an upload in parts, whether it is there or not."""
        try:
            with errors_named():
                self._client.abort_multipart_upload(**self._at(key), UploadId=upload)
        except Missing:
            pass

    def uploads_in_parts(self) -> Iterator[tuple[str, str, float]]:
        """Those that have not ended: key, id, and seconds since its last part or its beginning."""
        pages = self._client.get_paginator("list_multipart_uploads")
        with errors_named():
            for page in pages.paginate(Bucket=self._bucket, Prefix=self.prefix):
                for found in page.get("Uploads", ()):
                    key = found["Key"][len(self.prefix) :]
                    yield key, found["UploadId"], self._untouched(found, _date(page))

    def _untouched(self, upload: Mapping[str, Any], now: datetime) -> float:
        latest = upload["Initiated"]
        pages = self._client.get_paginator("list_parts")
        try:
            with errors_named():
                for page in pages.paginate(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                ):
                    for part in page.get("Parts", ()):
                        latest = max(latest, part["LastModified"])
        except Missing:
            return 0.0  # it has just ended
        return float((now - latest).total_seconds())

    def signed_url(self, key: str, seconds: int, fields: Mapping[str, str]) -> str:
        """Where an object can be fetched for so long, with these fields in the answer."""
        answered = {f"Response{name.replace('-', '')}": value for name, value in fields.items()}
        with errors_named():
            return str(
                self._client.generate_presigned_url(
                    "get_object", Params=self._at(key) | answered, ExpiresIn=seconds
                )
            )

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self.prefix + key}

    def _decided(self, call: Callable[[], T]) -> T:
        """Call until the store decides: 409 says that it saw two at once and let neither win."""
        for attempt in range(_CONFLICTS):
            try:
                with errors_named():
                    return call()
            except Conflict:
                if attempt == _CONFLICTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311  # jitter, no secret
        raise AssertionError


def _head(answer: Mapping[str, Any]) -> Head:
    size = answer["ContentLength"]
    if "ContentRange" in answer:
        size = int(answer["ContentRange"].rpartition("/")[2])
    modified = answer["LastModified"]
    return Head(
        size,
        answer["ETag"],
        modified,
        answer.get("ContentType", ""),
        answer.get("Metadata", {}),
        (_date(answer) - modified).total_seconds(),
    )


def _date(answer: Mapping[str, Any]) -> datetime:
    """The store's time when it answered."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
