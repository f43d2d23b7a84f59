"""Loaded by schemathesis: how bodies of media types that it does not know are sent."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/offset+octet-stream", "application/partial-upload")
def as_bytes(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
