"""The table of file types: extensions, media types, and the media types that libmagic reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Family(Enum):
    """How the content of a type is recognised."""

    SIGNATURE = auto()
    """By the magic bytes at its beginning."""
    TEXT = auto()
    """All of it is text."""
    JSON = auto()
    """All of it is text, and it has the form of a JSON value."""
    OLE = auto()
    """By the directory of an OLE compound file, which may be anywhere in the file."""
    ZIP = auto()
    """By the members of a ZIP archive, which are listed at its end."""

    @property
    def is_read_again(self) -> bool:
        """Whether the complete file is read, of whatever size, and not only its passing bytes."""
        return self in (Family.OLE, Family.ZIP)


@dataclass(frozen=True, slots=True)
class FileType:
    """One row of the table.

    `media_type` is the Content-Type that the file is served with, `magic` the media types that
    libmagic may report for its content.
    """

    extension: str
    media_type: str
    family: Family
    magic: frozenset[str]


def _row(
    extensions: str, media_type: str, family: Family = Family.SIGNATURE, *more_magic: str
) -> list[FileType]:
    magic = frozenset((media_type, *more_magic))
    return [FileType(extension, media_type, family, magic) for extension in extensions.split()]


_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"

TABLE: Mapping[str, FileType] = {
    row.extension: row
    for rows in (
        _row("txt log ini conf cfg srt", "text/plain", Family.TEXT),
        _row("csv", "text/csv", Family.TEXT),
        _row("tsv", "text/tab-separated-values", Family.TEXT),
        _row("md", "text/markdown", Family.TEXT),
        _row("html htm", "text/html", Family.TEXT),
        _row("css", "text/css", Family.TEXT),
        _row("js mjs", "text/javascript", Family.TEXT),
        _row("xml", "application/xml", Family.TEXT),
        _row("svg", "image/svg+xml", Family.TEXT),
        _row("yaml yml", "application/yaml", Family.TEXT),
        _row("toml", "application/toml", Family.TEXT),
        _row("ics", "text/calendar", Family.TEXT),
        _row("vcf", "text/vcard", Family.TEXT),
        _row("json", "application/json", Family.JSON),
        _row("rtf", "application/rtf", Family.SIGNATURE, "text/rtf"),
        _row("pdf", "application/pdf"),
        _row("ps eps", "application/postscript"),
        _row("doc", "application/msword", Family.OLE),
        _row("xls", "application/vnd.ms-excel", Family.OLE),
        _row("ppt", "application/vnd.ms-powerpoint", Family.OLE),
        _row("docx", f"{_OOXML}.wordprocessingml.document", Family.ZIP),
        _row("xlsx", f"{_OOXML}.spreadsheetml.sheet", Family.ZIP),
        _row("pptx", f"{_OOXML}.presentationml.presentation", Family.ZIP),
        _row("odt", f"{_ODF}.text", Family.ZIP),
        _row("ods", f"{_ODF}.spreadsheet", Family.ZIP),
        _row("odp", f"{_ODF}.presentation", Family.ZIP),
        _row("odg", f"{_ODF}.graphics", Family.ZIP),
        _row("epub", "application/epub+zip", Family.ZIP),
        _row("zip", "application/zip", Family.ZIP),
        _row("png", "image/png"),
        _row("jpg jpeg", "image/jpeg"),
        _row("gif", "image/gif"),
        _row("webp", "image/webp"),
        _row("tif tiff", "image/tiff"),
        _row("bmp", "image/bmp", Family.SIGNATURE, "image/x-ms-bmp"),
        _row("heic heif", "image/heic", Family.SIGNATURE, "image/heif"),
        _row("avif", "image/avif"),
        _row("ico", "image/vnd.microsoft.icon", Family.SIGNATURE, "image/x-icon"),
        _row("mp3", "audio/mpeg"),
        _row("m4a", "audio/mp4", Family.SIGNATURE, "audio/x-m4a", "video/mp4"),
        _row("wav", "audio/wav", Family.SIGNATURE, "audio/x-wav"),
        _row("flac", "audio/flac", Family.SIGNATURE, "audio/x-flac"),
        _row("ogg oga opus", "audio/ogg", Family.SIGNATURE, "application/ogg", "video/ogg"),
        _row("mp4 m4v", "video/mp4", Family.SIGNATURE, "video/x-m4v", "video/iso.segment"),
        _row("mov", "video/quicktime"),
        _row("webm", "video/webm", Family.SIGNATURE, "video/x-matroska"),
        _row("mkv", "video/matroska", Family.SIGNATURE, "video/x-matroska", "video/webm"),
        _row("avi", "video/x-msvideo", Family.SIGNATURE, "video/vnd.avi"),
        _row("gz tgz", "application/gzip", Family.SIGNATURE, "application/x-gzip"),
        _row("bz2", "application/x-bzip2", Family.SIGNATURE, "application/x-bzip"),
        _row("xz", "application/x-xz"),
        _row("zst", "application/zstd", Family.SIGNATURE, "application/x-zstd"),
        _row("7z", "application/x-7z-compressed"),
        _row("tar", "application/x-tar"),
        _row("sqlite", "application/vnd.sqlite3", Family.SIGNATURE, "application/x-sqlite3"),
    )
    for row in rows
}
"""The types whose content can be checked, by extension."""

DEFAULT_EXTENSIONS = tuple(
    "txt csv md json rtf pdf doc docx xls xlsx ppt pptx odt ods odp"
    " png jpg jpeg gif webp tif tiff bmp zip".split()
)

FALLBACK_MEDIA_TYPE = "application/octet-stream"

INLINE_MEDIA_TYPES = frozenset(
    ("application/pdf", "text/plain", "image/png", "image/jpeg", "image/gif", "image/webp",
     "image/bmp", "image/tiff", "image/avif")
)  # fmt: skip
"""The types that a browser may display inline: none of them can run a script in our origin."""


def select(extensions: Iterable[str]) -> dict[str, FileType]:
    """Return the rows for `extensions`; raise KeyError for one that the table does not have."""
    return {extension: TABLE[extension] for extension in extensions}


def media_type_of(extension: str) -> str:
    """Return the media type of a file with this extension about which nothing was recorded."""
    row = TABLE.get(extension)
    return row.media_type if row else FALLBACK_MEDIA_TYPE
