"""What S3 answers about one object, read from the header fields of its answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Self

from fileservice.storage.s3.errors import TransientError

_METADATA = "x-amz-meta-"
_date = lru_cache(256)(parsedate_to_datetime)


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """The answer to HeadObject, or the header fields of the answer to GetObject."""

    size: int
    """Bytes of the whole object."""
    etag: str
    modified: datetime
    content_type: str
    metadata: Mapping[str, str]
    """The user-defined metadata (x-amz-meta-…)."""
    age: float
    """Seconds since it was written, by the clock of the bucket."""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """Read the fields, with names in lower case. Raises TransientError if one is missing."""
        size = fields.get("content-range") or _required(fields, "content-length")
        modified = _date_in(fields, "last-modified")
        return cls(
            size=_number(size.rpartition("/")[2]),
            etag=etag_of(fields),
            modified=modified,
            content_type=fields.get("content-type", ""),
            metadata={
                name.removeprefix(_METADATA): value
                for name, value in fields.items()
                if name.startswith(_METADATA)
            },
            age=(date_of(fields) - modified).total_seconds(),
        )


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to PutObject."""

    etag: str
    modified: datetime | None
    """The Last-Modified that the object has; None if the answer does not show it."""

    @classmethod
    def between(cls, etag: str, before: str, after: str) -> Self:
        """Read the Date of an answer before the request, and the Date of the one to it.

        If both are the same, the object cannot have been written in another second.
        """
        is_known = bool(before) and before == after
        return cls(etag, _date(after) if is_known else None)


def date_of(fields: Mapping[str, str]) -> datetime:
    """Return the time of the bucket when it answered (the Date field, RFC 9110, 6.6.1)."""
    return _date_in(fields, "date")


def etag_of(fields: Mapping[str, str]) -> str:
    """Return the ETag of the object or part that was read or written."""
    return _required(fields, "etag")


def _date_in(fields: Mapping[str, str], name: str) -> datetime:
    try:
        return _date(_required(fields, name))
    except ValueError as error:
        raise TransientError(f"the storage answered with a malformed {name}") from error


def _number(text: str) -> int:
    if not text.isdecimal():
        raise TransientError("the storage answered without the size of an object")
    return int(text)


def _required(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise TransientError(f"the storage answered without {name}")
    return value
