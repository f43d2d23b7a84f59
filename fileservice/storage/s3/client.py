"""S3Client: the calls of the Amazon S3 API that a store in a bucket makes.

Each method is named after the operation of the Amazon S3 API Reference that it calls. Keys are
relative to the prefix of the store. Every call is retried (see retries), and may raise
StorageUnavailable, StorageFull and OutcomeUnknown besides what its docstring names.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.s3 import answers, documents
from fileservice.storage.s3.bucket import Bucket, Request
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.documents import Document
from fileservice.storage.s3.errors import ObjectMissing, RequestRejected, translate_errors
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.objects import ObjectHead, Written
from fileservice.storage.s3.request_fields import byte_range, checksum, conditions, described
from fileservice.storage.s3.retries import with_retries
from fileservice.storage.s3.timing import Timing

T = TypeVar("T")

_KEYS_PER_DELETION = 1000
_LARGE_BODY = 1 << 20
_UPLOAD = "uploadId"


class S3Client:
    """The objects under one prefix of one bucket.

    It may be used by many threads at once, and by greenlets where sockets are patched.
    """

    def __init__(self, location: Location, timing: Timing) -> None:
        self.copies = location.copy
        """Whether UploadPartCopy is to be used."""
        self.timing = timing
        self.prefix = location.prefix
        self.bucket = Bucket(location, timing)
        """What sends the requests."""

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
    ) -> Written:
        """Write an object and return what is known of it (PutObject).

        Raises PreconditionFailed if a condition does not hold, and ObjectMissing if there is no
        object for `if_match`.
        """
        if retry_seconds is None and len(body) > _LARGE_BODY:
            retry_seconds = self.timing.retry_with_body
        fields = described(content_type, metadata) | conditions(if_match, if_none_match)
        before, parse = self.bucket.latest_date, answers.etag_and_date
        etag, after = self._call(
            parse, "PUT", key, fields=fields, body=body, retry_seconds=retry_seconds
        )
        return Written.between(etag, before, after)

    def head_object(self, key: str) -> ObjectHead:
        """Describe an object (HeadObject). Raises ObjectMissing."""
        return self._call(answers.head, "HEAD", key)

    def get_object(
        self, key: str, first: int | None = None, end: int | None = None, etag: str | None = None
    ) -> tuple[ObjectHead, Answer]:
        """Return a description of an object, and its bytes, which must be read or closed.

        They are those from `first` to before `end` (GetObject with Range). Raises ObjectMissing,
        and PreconditionFailed if the object has not this `etag` (If-Match).
        """
        fields = byte_range(first, end) | conditions(etag)
        return self._call(answers.head_and_stream, "GET", key, fields=fields)

    def read_object(
        self, key: str, first: int | None = None, end: int | None = None
    ) -> tuple[ObjectHead, bytes]:
        """Return a description of an object, and its bytes from `first` to before `end`.

        The read is retried, too, if it breaks off (GetObject). Raises ObjectMissing.
        """
        seconds = None if first is None else self.timing.retry_with_body
        fields = byte_range(first, end)
        return self._call(answers.head_and_bytes, "GET", key, fields=fields, retry_seconds=seconds)

    def delete_object(self, key: str, etag: str | None = None) -> None:
        """Remove an object (DeleteObject).

        With `etag`, an object that has another raises PreconditionFailed (If-Match), and where
        there is none the call may raise ObjectMissing.
        """
        try:
            self._call(answers.end, "DELETE", key, fields=conditions(etag))
        except RequestRejected as error:
            if not error.repeated:  # otherwise the earlier request has removed it
                raise

    def delete_objects(self, keys: Sequence[str]) -> None:
        """Remove objects, whether they exist or not (DeleteObjects)."""
        for n in range(0, len(keys), _KEYS_PER_DELETION):
            batch = keys[n : n + _KEYS_PER_DELETION]
            body = documents.deletion(self.prefix + key for key in batch)
            self._call(
                answers.deleted, "POST", query={"delete": ""}, fields=checksum(body), body=body
            )

    def list_objects_v2(
        self, under: str = "", query: Mapping[str, str] = {}, *, retry: bool = True
    ) -> tuple[Document, datetime]:
        """Return one page of the objects whose keys begin with `under`, and the bucket's time.

        Its keys are encoded, and not relative to the prefix. `query` has further parameters.
        Raises ObjectMissing if there is no bucket.
        """
        prefix = self.prefix + under
        # XML cannot express all characters of keys.
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix, **query}
        seconds = None if retry else 0.0
        return self._call(
            answers.page("ListBucketResult"), "GET", query=query, retry_seconds=seconds
        )

    def create_multipart_upload(
        self, key: str, content_type: str, metadata: Mapping[str, str]
    ) -> str:
        """Begin an object that is sent in parts and return its upload id."""
        return self._call(
            answers.text_in("InitiateMultipartUploadResult", "UploadId"),
            "POST",
            key,
            query={"uploads": ""},
            fields=described(content_type, metadata),
            retry_seconds=self.timing.retry_with_body,
        )

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes | bytearray) -> str:
        """Write part `number`, from 1 on, and return its ETag."""
        return self._send_part(answers.etag, key, upload_id, number, body=body)

    def upload_part_copy(self, key: str, upload_id: str, number: int, source: str) -> str:
        """Make part `number` of the object with the key `source` and return its ETag."""
        fields = {"x-amz-copy-source": self.bucket.copy_source(self.prefix + source)}
        parse = answers.text_in("CopyPartResult", "ETag")
        return self._send_part(parse, key, upload_id, number, fields=fields)

    def _send_part(
        self,
        parse: Callable[[Answer], str],
        key: str,
        upload_id: str,
        number: int,
        *,
        fields: Mapping[str, str] = {},
        body: bytes | bytearray = b"",
    ) -> str:
        query, seconds = (
            {"partNumber": str(number), _UPLOAD: upload_id},
            self.timing.retry_with_body,
        )
        try:
            return self._call(
                parse, "PUT", key, query=query, fields=fields, body=body, retry_seconds=seconds
            )
        except ObjectMissing as error:  # a sweep or a lifecycle rule aborted the upload
            raise StorageUnavailable("the storage has lost the bytes that were sent") from error

    def complete_multipart_upload(
        self, key: str, upload_id: str, etags: Sequence[str], *, if_match: str
    ) -> str:
        """Make an object of the parts, replace the one with this ETag, and return the new ETag.

        Raises PreconditionFailed or ObjectMissing if there is no such object, or if the upload has
        been completed or aborted before.
        """
        return self._call(
            answers.text_in("CompleteMultipartUploadResult", "ETag"),
            "POST",
            key,
            query={_UPLOAD: upload_id},
            fields={"If-Match": if_match},
            body=documents.completion(etags),
            retry_seconds=self.timing.retry_with_body,
        )

    def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Remove the parts of an upload, whether it exists or not."""
        with suppress(ObjectMissing):
            self._call(answers.end, "DELETE", key, query={_UPLOAD: upload_id})

    def list_multipart_uploads(self, query: Mapping[str, str] = {}) -> tuple[Document, datetime]:
        """Return one page of the multipart uploads that have not ended, and the bucket's time.

        Its keys are not relative to the prefix. `query` has further parameters.
        """
        query = {"uploads": "", "prefix": self.prefix, **query}
        return self._call(answers.page("ListMultipartUploadsResult"), "GET", query=query)

    def list_parts(self, key: str, upload_id: str, query: Mapping[str, str] = {}) -> Document:
        """Return one page of the parts of an upload. Raises ObjectMissing."""
        query = {_UPLOAD: upload_id, **query}
        return self._call(answers.page("ListPartsResult"), "GET", key, query=query)[0]

    def presigned_url(self, key: str, seconds: int, fields: Mapping[str, str]) -> str:
        """Return a URL that gives the object to anybody for so long (GetObject, presigned).

        `fields` are header fields that the answer will have, such as Content-Disposition.
        """
        overrides = {f"response-{name.lower()}": value for name, value in fields.items()}
        with translate_errors():
            return self.bucket.presigned_url(self.prefix + key, seconds, overrides)

    def _call(
        self,
        parse: Callable[[Answer], T],
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, str] = {},
        fields: Mapping[str, str] = {},
        body: bytes | bytearray = b"",
        retry_seconds: float | None = None,
    ) -> T:
        """Make a request to the object with this key, or to the bucket, and read its answer.

        An answer that `parse` cannot read is an error of the bucket, and retried.
        """
        address = None if key is None else self.prefix + key
        request = Request(method, address, query, fields, body)

        def send() -> T:
            answer = self.bucket.send(request)
            try:
                return parse(answer)
            except BaseException:
                answer.close()
                raise

        return with_retries(send, self.timing.retry if retry_seconds is None else retry_seconds)
