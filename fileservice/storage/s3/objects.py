"""What S3 answers about one object, read from the answers of the SDK."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self


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
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Read an answer of the SDK to HeadObject or GetObject."""
        size = answer["ContentLength"]
        if "ContentRange" in answer:
            size = int(answer["ContentRange"].rpartition("/")[2])
        modified = answer["LastModified"]
        return cls(
            size=size,
            etag=answer["ETag"],
            modified=modified,
            content_type=answer.get("ContentType", ""),
            metadata=answer.get("Metadata", {}),
            age=(date_of(answer) - modified).total_seconds(),
        )


def date_of(answer: Mapping[str, Any]) -> datetime:
    """Return the time of the bucket when it answered (the Date field, RFC 9110, 6.6.1)."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def etag_of(answer: Mapping[str, Any]) -> str:
    """Return the ETag of the object or part that was written."""
    return str(answer["ETag"])


def etag_of_copy(answer: Mapping[str, Any]) -> str:
    """Return the ETag of the part that UploadPartCopy made."""
    return etag_of(answer["CopyPartResult"])


def upload_id_of(answer: Mapping[str, Any]) -> str:
    """Return the id of the multipart upload that was created."""
    return str(answer["UploadId"])


def head_and_body(answer: Mapping[str, Any]) -> tuple[ObjectHead, Any]:
    """Return the description and the stream of an answer to GetObject."""
    return ObjectHead.of(answer), answer["Body"]


def unparsed(answer: Any) -> Any:
    """Return the answer itself."""
    return answer
