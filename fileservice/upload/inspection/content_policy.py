"""ContentPolicy: what a file of an accepted type may contain, and how complex it may be."""

from dataclasses import dataclass

from fileservice.content_risks import ContentRisk

DEFAULT_REFUSED = frozenset((ContentRisk.UNSAFE_NAMES, ContentRisk.LINKS))
"""Nothing that an ordinary document or picture contains."""


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """Limits of what a file may contain, and the risks that are refused."""

    max_members: int = 100_000
    """How many members an archive may have."""
    max_unpacked: int = 20 << 30
    """How many bytes its members may have together once they are unpacked."""
    max_ratio: int = 200
    """How many times as large as the archive they may be."""
    max_pixels: int = 250_000_000
    """Width times height of an image."""
    refused: frozenset[ContentRisk] = DEFAULT_REFUSED

    def refuses(self, *risks: ContentRisk) -> bool:
        """Return whether any of these risks is refused."""
        return not self.refused.isdisjoint(risks)
