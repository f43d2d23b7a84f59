"""The header fields of Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload).

They are structured fields. A malformed one is ignored (RFC 9651 section 4.2), so the parsers return
None for it.
"""

import re

from fileservice.protocols.fields import Fields

CONTENT_TYPE = "application/partial-upload"
_INTEGER = re.compile(r"[0-9]{1,15}")


def complete(headers: Fields) -> bool | None:
    """Return the value of Upload-Complete, a Boolean (section 4.1.2); None without a valid one."""
    return {"?0": False, "?1": True}.get((headers.get("Upload-Complete") or "").strip(" "))


def number(headers: Fields, field: str) -> int | None:
    """Return the value of a field that is a non-negative Integer; None without a valid one.

    An Integer has at most 15 digits (RFC 9651 section 3.3.1).
    """
    value = (headers.get(field) or "").strip(" ")
    return int(value) if _INTEGER.fullmatch(value) else None
