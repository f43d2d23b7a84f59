"""UploadStep: what the service says about an upload that is not complete."""

from dataclasses import dataclass

from fileservice.client.errors import ClientError
from fileservice.protocols.fields import Fields
from fileservice.protocols.resumable_draft import number


@dataclass(frozen=True, slots=True)
class UploadStep:
    """How far an unfinished upload is."""

    offset: int
    limit: int
    """Bytes that one request may have; 0 if it may have any number."""

    @classmethod
    def of(cls, fields: Fields) -> "UploadStep":
        """Read the header fields of a response (draft, sections 4.1.1 and 4.1.4)."""
        offset = number(fields, "Upload-Offset")
        if offset is None:
            raise ClientError("the service does not say how much has arrived")
        limits = dict(
            part.strip().partition("=")[::2]
            for part in (fields.get("Upload-Limit") or "").split(",")
        )
        limit = limits.get("max-append-size", "")
        return cls(offset, int(limit) if limit.isdecimal() else 0)
