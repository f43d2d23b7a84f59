"""The header fields of a request, as the parsers of this package receive them."""

from typing import Protocol


class Fields(Protocol):
    """A mapping of field names to values that ignores the case of names (RFC 9110 section 5.1).

    The lines of a field that is repeated are joined by commas (section 5.3).
    """

    def get(self, key: str, /) -> str | None:
        """Return the value of a field, or None if the request does not have the field."""
