"""The errors of an S3 API, and how those of the SDK become them.

StorageError                  see fileservice.storage.errors
├── StorageFull
└── StorageUnavailable
    ├── TransientError        no answer, or 5xx; the same request may succeed later
    └── OutcomeUnknown        no answer in time; the request may have been carried out
RequestRejected               the bucket decided against the request
├── ObjectMissing             404
└── PreconditionFailed        412
Conflict                      409; the bucket decided neither way

RequestRejected and Conflict never leave this package.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from fileservice.storage.errors import StorageFull, StorageUnavailable

_FULL = (
    "QuotaExceeded",
    "XMinioStorageFull",
    "InsufficientStorage",
    "XMinioAdminBucketQuotaExceeded",
)
_TRANSIENT = ("SlowDown", "RequestTimeout", "Throttling", "TooManyRequests")
_CONFLICT = ("ConditionalRequestConflict", "OperationAborted")


class TransientError(StorageUnavailable):
    """The bucket did not answer, or answered that it cannot work now; a retry may succeed."""


class OutcomeUnknown(StorageUnavailable):
    """The bucket did not answer in time; the request may have been carried out."""


class RequestRejected(Exception):
    """The bucket decided against the request."""

    repeated = False
    """Whether the answer to the same request was lost before, so that it may have succeeded."""


class ObjectMissing(RequestRejected):
    """There is no such object, or no such multipart upload (NoSuchKey, NoSuchUpload)."""


class PreconditionFailed(RequestRejected):
    """The condition of the request, If-Match or If-None-Match, does not hold."""


class Conflict(Exception):
    """The bucket saw another request for the same key and carried out neither."""


BROKEN_READ = (BotoCoreError, HTTPClientError, HTTPError, OSError)
"""What reading the body of GetObject raises when the connection breaks."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the errors of this module in place of those of boto3.

    The codes are those of "Error responses" in the Amazon S3 API Reference, and those that MinIO
    answers with when it is full.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            raise StorageUnavailable("the storage cannot be used: no such bucket") from error
        if status == 404:
            raise ObjectMissing from error
        if status == 412:
            raise PreconditionFailed from error
        if status == 409 and code in _CONFLICT:
            raise Conflict from error
        if code in _FULL or status == 507:
            raise StorageFull(f"there is no room left for the file: {code}") from error
        kind = TransientError if status >= 500 or code in _TRANSIENT else StorageUnavailable
        raise kind(f"the storage answered with an error: {code or status}") from error
    except (*BROKEN_READ, KeyError) as error:  # KeyError: a member that the answer must have
        reason = type(error).__name__
        raise TransientError(f"the storage does not answer: {reason}") from error
