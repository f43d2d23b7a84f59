"""S3Client: the calls of the Amazon S3 API that a store in a bucket makes.

Each method is named after the operation of the Amazon S3 API Reference that it calls. Keys are
relative to the prefix of the store. Every call is retried (see retries), and may raise
StorageUnavailable, StorageFull and OutcomeUnknown besides what its docstring names.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.s3 import objects
from fileservice.storage.s3.errors import (
    ObjectMissing,
    RequestRejected,
    TransientError,
    translate_errors,
)
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.objects import ObjectHead
from fileservice.storage.s3.retries import with_retries
from fileservice.storage.s3.sdk import byte_range, connect, given
from fileservice.storage.s3.timing import Timing

T = TypeVar("T")

_KEYS_PER_DELETION = 1000
_LARGE_BODY = 1 << 20


class S3Client:
    """The objects under one prefix of one bucket.

    It may be used by many threads at once, and by greenlets where sockets are patched.
    """

    def __init__(self, location: Location, timing: Timing) -> None:
        self.copies = location.copy
        """Whether UploadPartCopy is to be used."""
        self.timing = timing
        self.prefix = location.prefix
        self._bucket = location.bucket
        self.sdk = connect(location, timing)
        """boto3's client, which makes the requests."""

    def put_object(
        self,
        key: str,
        body: bytes | bytearray,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] = {},  # never changed
        if_match: str | None = None,
        if_none_match: str | None = None,
        retry_seconds: float | None = None,
    ) -> str:
        """Write an object and return its ETag (PutObject).

        Raises PreconditionFailed if a condition does not hold, and ObjectMissing if there is no
        object for `if_match`.
        """
        if retry_seconds is None and len(body) > _LARGE_BODY:
            retry_seconds = self.timing.retry_with_body
        return self._call(
            objects.etag_of,
            "put_object",
            key,
            retry_seconds=retry_seconds,
            Body=body,
            ContentType=content_type,
            Metadata=dict(metadata),
            IfMatch=if_match,
            IfNoneMatch=if_none_match,
        )

    def head_object(self, key: str) -> ObjectHead:
        """Describe an object (HeadObject). Raises ObjectMissing."""
        return self._call(ObjectHead.of, "head_object", key)

    def get_object(
        self, key: str, first: int | None = None, end: int | None = None, etag: str | None = None
    ) -> tuple[ObjectHead, Any]:
        """Return a description of an object, and a stream of its bytes that must be closed.

        The stream has the bytes from `first` to before `end` (GetObject with Range). Raises
        ObjectMissing, and PreconditionFailed if the object has not this `etag` (If-Match).
        """
        parameters: dict[str, Any] = {"Range": byte_range(first, end), "IfMatch": etag}
        return self._call(objects.head_and_body, "get_object", key, **parameters)

    def read_object(
        self, key: str, first: int | None = None, end: int | None = None
    ) -> tuple[ObjectHead, bytes]:
        """Return a description of an object, and its bytes from `first` to before `end`.

        The read is retried, too, if it breaks off (GetObject). Raises ObjectMissing.
        """
        parameters = self._address(key) | given(Range=byte_range(first, end))

        def read() -> tuple[ObjectHead, bytes]:
            head, stream = objects.head_and_body(self.sdk.get_object(**parameters))
            with closing(stream):
                return head, bytes(stream.read())

        timing = self.timing
        return with_retries(read, timing.retry if first is None else timing.retry_with_body)

    def delete_object(self, key: str, etag: str | None = None) -> None:
        """Remove an object (DeleteObject).

        With `etag`, an object that has another raises PreconditionFailed (If-Match), and where
        there is none the call may raise ObjectMissing.
        """
        try:
            self._call(objects.unparsed, "delete_object", key, IfMatch=etag)
        except RequestRejected as error:
            if not error.repeated:  # otherwise the earlier request has removed it
                raise

    def delete_objects(self, keys: Sequence[str]) -> None:
        """Remove objects, whether they exist or not (DeleteObjects)."""

        def delete(batch: Sequence[str]) -> None:
            deleted = [{"Key": self.prefix + key} for key in batch]
            answer = self.sdk.delete_objects(
                Bucket=self._bucket, Delete={"Objects": deleted, "Quiet": True}
            )
            for error in answer.get("Errors", ()):  # the answer is a 200 nevertheless
                if error.get("Code") != "NoSuchKey":
                    raise TransientError(f"the storage answered with an error: {error.get('Code')}")

        for n in range(0, len(keys), _KEYS_PER_DELETION):
            with_retries(partial(delete, keys[n : n + _KEYS_PER_DELETION]), self.timing.retry)

    def list_objects_v2(self, under: str = "", *, retry: bool = True, **parameters: Any) -> Any:
        """Return one page of the objects whose keys begin with `under`, as the SDK has it.

        Its keys are not relative to the prefix. Raises ObjectMissing if there is no bucket.
        """
        seconds = None if retry else 0.0
        parameters["Prefix"] = self.prefix + under
        return self._call(objects.unparsed, "list_objects_v2", retry_seconds=seconds, **parameters)

    def create_multipart_upload(
        self, key: str, content_type: str, metadata: Mapping[str, str]
    ) -> str:
        """Begin an object that is sent in parts and return its upload id."""
        return self._call(
            objects.upload_id_of,
            "create_multipart_upload",
            key,
            retry_seconds=self.timing.retry_with_body,
            ContentType=content_type,
            Metadata=dict(metadata),
        )

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes | bytearray) -> str:
        """Write part `number`, from 1 on, and return its ETag."""
        part = {"UploadId": upload_id, "PartNumber": number, "Body": body}
        return self._send_part(objects.etag_of, "upload_part", key, part)

    def upload_part_copy(self, key: str, upload_id: str, number: int, source: str) -> str:
        """Make part `number` of the object with the key `source` and return its ETag."""
        part = {"UploadId": upload_id, "PartNumber": number, "CopySource": self._address(source)}
        return self._send_part(objects.etag_of_copy, "upload_part_copy", key, part)

    def _send_part(
        self, parse: Callable[[Any], T], operation: str, key: str, part: dict[str, Any]
    ) -> T:
        seconds = self.timing.retry_with_body
        try:
            return self._call(parse, operation, key, retry_seconds=seconds, **part)
        except ObjectMissing as error:  # a sweep or a lifecycle rule aborted the upload
            raise StorageUnavailable("the storage has lost the bytes that were sent") from error

    def complete_multipart_upload(
        self, key: str, upload_id: str, etags: Sequence[str], *, if_match: str
    ) -> str:
        """Make an object of the parts, replace the one with this ETag, and return the new ETag.

        Raises PreconditionFailed or ObjectMissing if there is no such object, or if the upload has
        been completed or aborted before.
        """
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        return self._call(
            objects.etag_of,
            "complete_multipart_upload",
            key,
            retry_seconds=self.timing.retry_with_body,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfMatch=if_match,
        )

    def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Remove the parts of an upload, whether it exists or not."""
        with suppress(ObjectMissing):
            self._call(objects.unparsed, "abort_multipart_upload", key, UploadId=upload_id)

    def list_multipart_uploads(self, **parameters: Any) -> Any:
        """Return one page of the multipart uploads that have not ended, as the SDK has it."""
        parameters["Prefix"] = self.prefix
        return self._call(objects.unparsed, "list_multipart_uploads", **parameters)

    def list_parts(self, key: str, upload_id: str) -> list[Mapping[str, Any]]:
        """Return all parts of an upload, as the SDK has them. Raises ObjectMissing."""
        pages = self.sdk.get_paginator("list_parts")
        return with_retries(
            lambda: [
                part
                for page in pages.paginate(**self._address(key), UploadId=upload_id)
                for part in page.get("Parts", ())
            ],
            self.timing.retry,
        )

    def presigned_url(self, key: str, seconds: int, fields: Mapping[str, str]) -> str:
        """Return a URL that gives the object to anybody for so long (GetObject, presigned).

        `fields` are header fields that the answer will have, such as Content-Disposition.
        """
        overrides = {f"Response{name.replace('-', '')}": value for name, value in fields.items()}
        parameters = self._address(key) | overrides
        with translate_errors():
            return str(self.sdk.generate_presigned_url("get_object", parameters, seconds))

    def _call(
        self,
        parse: Callable[[Any], T],
        operation: str,
        key: str | None = None,
        *,
        retry_seconds: float | None = None,
        **parameters: Any,
    ) -> T:
        """Call an operation of the SDK without the parameters that are None, and read its answer.

        An answer that `parse` cannot read is an error of the bucket, and retried.
        """
        target = {"Bucket": self._bucket} if key is None else self._address(key)
        return with_retries(
            lambda: parse(getattr(self.sdk, operation)(**target, **given(**parameters))),
            self.timing.retry if retry_seconds is None else retry_seconds,
        )

    def _address(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self.prefix + key}
