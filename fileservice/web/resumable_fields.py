"""The header fields and problems of draft-ietf-httpbis-resumable-upload."""

import re

from werkzeug.datastructures import Headers

CONTENT_TYPE = "application/partial-upload"
_NUMBER = re.compile(r"[0-9]{1,15}")


class BadAppend(ValueError):
    def __init__(self) -> None:
        super().__init__("Upload-Offset and Upload-Complete are needed to add to an upload")


class InconsistentLength(ValueError):
    """The lengths that a client declares contradict each other, or what is there."""


class Completed(Exception):
    def __init__(self) -> None:
        super().__init__("the upload is complete; there is nothing to add")


class MismatchingOffset(Exception):
    def __init__(self, expected: int, provided: int) -> None:
        super().__init__(f"the upload stands at byte {expected}, the request begins at {provided}")
        self.expected_offset = expected
        self.provided_offset = provided


def complete(headers: Headers) -> bool | None:
    """The value of Upload-Complete; None where there is none that makes sense (section 4.1.2)."""
    return {"?0": False, "?1": True}.get(headers.get("Upload-Complete", "").strip(" "))


def number(headers: Headers, field: str) -> int | None:
    """The value of a field that is a non-negative Integer (RFC 9651 section 3.3.1), else None."""
    value = headers.get(field, "").strip(" ")
    return int(value) if _NUMBER.fullmatch(value) else None
