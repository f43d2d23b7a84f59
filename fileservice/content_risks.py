"""ContentRisk: what a file of an accepted type can contain that an operator may refuse."""

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
