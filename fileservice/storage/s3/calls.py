"""Calls: how the store is asked, with time limits and patience; and the uploads in parts.

Keys are relative to the prefix. Every call may raise StorageUnavailable and StorageFull, and what
`faults` names.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.s3.errors import (
    Conflict,
    ObjectMissing,
    OutcomeUnknown,
    RequestRejected,
    TransientError,
    translate_errors,
)
from fileservice.storage.s3.location import Location

T = TypeVar("T")

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"total_max_attempts": 1},  # see _decided
    signature_version="s3v4",
    max_pool_connections=256,
    user_agent="fileservice",  # the store's own log tells who asks; botocore's takes longer to make
    # The bytes have a SHA-256 of their own; to hash them twice more would cost half the speed.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"payload_signing_enabled": False},
)
RETRY_SECONDS = 10.0
"""Seconds in which a request that failed is tried again."""
RETRY_SECONDS_WITH_BODY = 40.0
"""The same where the client has sent megabytes already, and would have to send them again."""
_LONGEST_PAUSE = 3.0


class Calls:
    """One place in one bucket. Safe for threads, and for greenlets where sockets are patched."""

    def __init__(self, location: Location) -> None:
        self.prefix = location.prefix
        self.copies = location.copy
        """Whether UploadPartCopy is to be used."""
        config = _CONFIG
        if location.endpoint:
            config = _CONFIG.merge(Config(s3={**_CONFIG.s3, "addressing_style": "path"}))
        with translate_errors():
            self._client: Any = boto3.session.Session().client(
                "s3", endpoint_url=location.endpoint, region_name=location.region, config=config
            )
        self._bucket = location.bucket

    def create_multipart_upload(
        self, key: str, media_type: str, metadata: Mapping[str, str]
    ) -> str:
        """Begin an object that comes in parts; the id of this upload."""
        answer = self._with_retries(
            lambda: self._client.create_multipart_upload(
                **self._at(key), ContentType=media_type, Metadata=dict(metadata)
            ),
            RETRY_SECONDS_WITH_BODY,
        )
        return str(answer["UploadId"])

    def upload_part(self, key: str, upload: str, number: int, data: bytes | bytearray) -> str:
        """Write one part; its ETag."""
        answer = self._part(
            lambda: self._client.upload_part(
                **self._at(key), UploadId=upload, PartNumber=number, Body=data
            )
        )
        return str(answer["ETag"])

    def upload_part_copy(self, key: str, upload: str, number: int, source: str) -> str:
        """Make a part of an object that is in the bucket; its ETag."""
        answer = self._part(
            lambda: self._client.upload_part_copy(
                **self._at(key), UploadId=upload, PartNumber=number, CopySource=self._at(source)
            )
        )
        return str(answer["CopyPartResult"]["ETag"])

    def _part(self, call: Callable[[], T]) -> T:
        try:
            return self._with_retries(call, RETRY_SECONDS_WITH_BODY)
        except ObjectMissing as error:  # somebody aborted it, or a rule for the bucket did
            raise StorageUnavailable("the storage has lost what was sent to it") from error

    def complete_multipart_upload(
        self, key: str, upload: str, etags: Sequence[str], instead_of: str
    ) -> str:
        """Make an object of the parts, in the place of one with a certain ETag; its own.

        Raises Unmet or Missing where that is not there, or the upload was ended before.
        """
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
        answer = self._with_retries(
            lambda: self._client.complete_multipart_upload(
                **self._at(key),
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                IfMatch=instead_of,
            ),
            RETRY_SECONDS_WITH_BODY,
        )
        return str(answer["ETag"])

    def abort_multipart_upload(self, key: str, upload: str) -> None:
        """Give up an upload in parts, whether it is there or not."""
        with suppress(ObjectMissing):
            self._with_retries(
                lambda: self._client.abort_multipart_upload(**self._at(key), UploadId=upload)
            )

    def multipart_uploads(self) -> Iterator[tuple[str, str, float]]:
        """Those that have not ended: key, id, and seconds since its last part or its beginning."""
        after: dict[str, str] = {}
        while True:
            page = self._with_retries(
                lambda after=after: self._client.list_multipart_uploads(  # type: ignore[misc]
                    Bucket=self._bucket, Prefix=self.prefix, **after
                )
            )
            for found in page.get("Uploads", ()):
                key = found["Key"][len(self.prefix) :]
                yield key, found["UploadId"], self._untouched(key, found, date_of(page))
            if not page.get("IsTruncated"):
                return
            after = {name: page[f"Next{name}"] for name in ("KeyMarker", "UploadIdMarker")}

    def _untouched(self, key: str, upload: Mapping[str, Any], now: datetime) -> float:
        parts = self._client.get_paginator("list_parts")
        try:
            times = self._with_retries(
                lambda: [
                    part["LastModified"]
                    for page in parts.paginate(**self._at(key), UploadId=upload["UploadId"])
                    for part in page.get("Parts", ())
                ]
            )
        except ObjectMissing:
            return 0.0  # it has just ended
        return float((now - max([upload["Initiated"], *times])).total_seconds())

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self.prefix + key}

    def _with_retries(self, call: Callable[[], T], patience: float = RETRY_SECONDS) -> T:
        """Call until the store answers and decides, or patience is over.

        409 says that it saw two requests at once and let neither win.
        """
        lost = False
        for _ in attempts(patience):
            try:
                with translate_errors():
                    return call()
            except (TransientError, Conflict) as error:
                undecided, lost = error, lost or isinstance(error, TransientError)
            except RequestRejected as refusal:
                refusal.repeated = lost
                raise
        raise OutcomeUnknown(f"{undecided}; it was tried for a while") from undecided


def attempts(seconds: float) -> Iterator[None]:
    """Once at once, and again after growing pauses with jitter, for so long."""
    until, pause = time.monotonic() + seconds, 0.1
    while True:
        yield
        if time.monotonic() + pause > until:
            return
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311  # jitter, no secret
        pause = min(2 * pause, _LONGEST_PAUSE)


def date_of(answer: Mapping[str, Any]) -> datetime:
    """The store's time when it answered."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
