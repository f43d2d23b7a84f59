"""What the SDK and the store refuse, in the words of `storage.interface`."""

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


_LATER = ("SlowDown", "RequestTimeout", "Throttling", "TooManyRequests")


class TransientError(StorageUnavailable):
    """The store did not answer, or not sensibly; it may, if asked again."""


class OutcomeUnknown(StorageUnavailable):
    """The store did not answer in time; what was asked of it may be done all the same."""


class RequestRejected(Exception):
    """The store decided, against the request."""

    repeated = False
    """An answer to the very same request was lost before; that one may have had its effect."""


class ObjectMissing(RequestRejected):
    """There is no such object, or no such upload in parts."""


class PreconditionFailed(RequestRejected):
    """The condition of the request does not hold."""


class Conflict(Exception):
    """The store saw another request for the same key, and decided neither way."""


BROKEN_READ = (BotoCoreError, HTTPClientError, HTTPError, OSError)
"""What reading a body raises when it breaks off."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn errors of the SDK into those of the store, and into Missing, Unmet and Conflict."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            raise StorageUnavailable("the storage does not do its work: no such bucket") from error
        if status == 404:
            raise ObjectMissing from error
        if status == 412:
            raise PreconditionFailed from error
        if status == 409 and code in ("ConditionalRequestConflict", "OperationAborted"):
            raise Conflict from error
        if code in _FULL or status == 507:
            raise StorageFull(f"there is no room left for the file: {code}") from error
        kind = TransientError if status >= 500 or code in _LATER else StorageUnavailable
        raise kind(f"the storage does not do its work: {code or status}") from error
    except (*BROKEN_READ, KeyError) as error:  # KeyError: an answer that lacks what it must have
        reason = type(error).__name__
        raise TransientError(f"the storage does not answer: {reason}") from error
