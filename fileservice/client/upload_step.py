"""UploadStep: what the service says about an upload that is not complete."""

from dataclasses import dataclass

import requests

from fileservice.client.errors import ClientError
from fileservice.protocols.resumable_draft import number


@dataclass(frozen=True, slots=True)
class UploadStep:
    """How far an unfinished upload is."""

    offset: int
    limit: int
    """Bytes that one request may have; 0 if it may have any number."""

    @classmethod
    def of(cls, response: requests.Response) -> "UploadStep":
        """Read the fields of a response (draft, sections 4.1.1 and 4.1.4)."""
        offset = number(response.headers, "Upload-Offset")
        if offset is None:
            raise ClientError(f"{response.url} does not say how much has arrived")
        limits = dict(
            part.strip().partition("=")[::2]
            for part in response.headers.get("Upload-Limit", "").split(",")
        )
        limit = limits.get("max-append-size", "")
        return cls(offset, int(limit) if limit.isdecimal() else 0)
