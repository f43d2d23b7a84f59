"""ContentPolicy: what a file of an accepted type may contain, and how complex it may be."""

from dataclasses import dataclass
from enum import Enum


class ContentRisk(Enum):
    """What a file can contain that an operator may refuse; the values are those of the setting."""

    UNSAFE_NAMES = "unsafe-names"
    """Members of archives with absolute names, ``..``, backslashes or NUL, or twice the same."""
    LINKS = "links"
    """Members of archives that are symbolic links, devices or sockets."""
    NESTED_ARCHIVES = "nested-archives"
    """Archives in archives."""
    ENCRYPTED = "encrypted"
    """Encrypted members of archives, and encrypted documents."""
    MACROS = "macros"
    """Programs in documents."""
    EMBEDDED_OBJECTS = "embedded-objects"
    """OLE objects, ActiveX controls and packages in documents."""
    EXTERNAL_RELATIONS = "external-relations"
    """What a document loads from elsewhere, such as its template. Hyperlinks do not count."""
    PDF_SCRIPTS = "pdf-scripts"
    """JavaScript, XFA forms and rich media."""
    PDF_LAUNCH = "pdf-launch"
    """Actions that start a program."""
    PDF_FILES = "pdf-files"
    """Embedded files, which electronic invoices have as well."""
    TRAILING_BYTES = "trailing-bytes"
    """Bytes after the end of a PNG, JPEG or GIF, which many phones write as well."""


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
