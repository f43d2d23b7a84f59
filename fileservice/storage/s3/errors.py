"""The errors of an S3 API, and how those of HTTP become them.

StorageError                  see fileservice.storage.errors
├── StorageFull
└── StorageUnavailable
    ├── TransientError        no answer, or 5xx; the same request may succeed later
    └── OutcomeUnknown        no answer in time; the request may have been carried out
RequestRejected               the bucket decided against the request
├── ObjectMissing             404
└── PreconditionFailed        412
Conflict                      409; the bucket decided neither way
ErrorAnswer                   any answer that tells of an error

RequestRejected, Conflict and ErrorAnswer never leave this package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from botocore.exceptions import BotoCoreError, NoCredentialsError

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


class ErrorAnswer(Exception):
    """The bucket answered with an error."""

    def __init__(self, status: int, code: str) -> None:
        """`code` is that of "Error responses" in the Amazon S3 API Reference, or empty."""
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


BROKEN_READ = (HTTPException, OSError)
"""What sending a request, and reading its answer, raises when the connection breaks."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the other errors of this module in place of ErrorAnswer and those of HTTP.

    The codes are those of "Error responses" in the Amazon S3 API Reference, and those that MinIO
    answers with when it is full. Errors of botocore are those of credentials, which may come from
    a server as well.
    """
    try:
        yield
    except ErrorAnswer as error:
        status, code = error.status, error.code
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
    except NoCredentialsError as error:  # they were looked for once, so a retry is of no use
        raise StorageUnavailable(
            "there are no credentials for the storage: set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except (*BROKEN_READ, BotoCoreError) as error:
        reason = type(error).__name__
        raise TransientError(f"the storage does not answer: {reason}") from error
