"""The header fields and problems of draft-ietf-httpbis-resumable-upload."""

import re

from fileservice.protocols.fields import Fields

CONTENT_TYPE = "application/partial-upload"
_NUMBER = re.compile(r"[0-9]{1,15}")


def complete(headers: Fields) -> bool | None:
    """The value of Upload-Complete; None where there is none that makes sense (section 4.1.2)."""
    return {"?0": False, "?1": True}.get((headers.get("Upload-Complete") or "").strip(" "))


def number(headers: Fields, field: str) -> int | None:
    """The value of a field that is a non-negative Integer (RFC 9651 section 3.3.1), else None."""
    value = (headers.get(field) or "").strip(" ")
    return int(value) if _NUMBER.fullmatch(value) else None
