"""Uses: the downloads by a link that have begun, of which a link allows a number."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Use:
    """One download by one client."""

    client: str
    """Identifies the client; nothing can be derived from it."""
    began: int
    """In seconds since 1970, UTC."""
    finished: bool = False
    """Whether all bytes were sent."""
