"""Header fields, as the parsers of this package are given them."""

from typing import Protocol


class Fields(Protocol):
    """The header fields of a request, found by their names in any case (RFC 9110 section 5.1)."""

    def get(self, key: str, /) -> str | None:
        """Return the value of a field, None where the request does not have it."""
