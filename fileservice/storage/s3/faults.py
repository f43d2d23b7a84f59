"""What the SDK and the store refuse, in the words of `storage.base`."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from fileservice.storage.base import StorageFull, StorageUnavailable

_FULL = (
    "QuotaExceeded",
    "XMinioStorageFull",
    "InsufficientStorage",
    "XMinioAdminBucketQuotaExceeded",
)


_LATER = ("SlowDown", "RequestTimeout", "Throttling", "TooManyRequests")


class Away(StorageUnavailable):
    """The store did not answer, or not sensibly; it may, if asked again."""


class Undecided(StorageUnavailable):
    """The store did not answer in time; what was asked of it may be done all the same."""


class Refusal(Exception):
    """The store decided, against the request."""

    repeated = False
    """An answer to the very same request was lost before; that one may have had its effect."""


class Missing(Refusal):
    """There is no such object, or no such upload in parts."""


class Unmet(Refusal):
    """The condition of the request does not hold."""


class Conflict(Exception):
    """The store saw another request for the same key, and decided neither way."""


BROKEN_READ = (BotoCoreError, HTTPClientError, HTTPError, OSError)
"""What reading a body raises when it breaks off."""


@contextmanager
def errors_named() -> Iterator[None]:
    """Turn errors of the SDK into those of the store, and into Missing, Unmet and Conflict."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            raise StorageUnavailable("the storage does not do its work: no such bucket") from error
        if status == 404:
            raise Missing from error
        if status == 412:
            raise Unmet from error
        if status == 409 and code in ("ConditionalRequestConflict", "OperationAborted"):
            raise Conflict from error
        if code in _FULL or status == 507:
            raise StorageFull(f"there is no room left for the file: {code}") from error
        kind = Away if status >= 500 or code in _LATER else StorageUnavailable
        raise kind(f"the storage does not do its work: {code or status}") from error
    except (*BROKEN_READ, KeyError) as error:  # KeyError: an answer that lacks what it must have
        reason = type(error).__name__
        raise Away(f"the storage does not answer: {reason}") from error
