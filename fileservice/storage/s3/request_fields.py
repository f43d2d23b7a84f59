"""The header fields of requests to S3."""

import base64
import zlib
from collections.abc import Mapping


def described(content_type: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the fields for the type and the user-defined metadata of a new object."""
    fields = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    return {"Content-Type": content_type, **fields}


def conditions(if_match: str | None, if_none_match: str | None = None) -> dict[str, str]:
    """Return the fields for the conditions that are given (RFC 9110, 13.1)."""
    fields = {"If-Match": if_match, "If-None-Match": if_none_match}
    return {name: value for name, value in fields.items() if value is not None}


def byte_range(first: int | None, end: int | None) -> dict[str, str]:
    """Return the field for the bytes from `first` to before `end` (RFC 9110, 14.2)."""
    return {} if first is None else {"Range": f"bytes={first}-{'' if end is None else end - 1}"}


def checksum(body: bytes) -> dict[str, str]:
    """Return the checksum without which S3 refuses the body of DeleteObjects."""
    digest = zlib.crc32(body).to_bytes(4, "big")
    return {"x-amz-checksum-crc32": base64.b64encode(digest).decode()}
