"""What the page shows of a file: an icon for its kind, and a preview in one of several ways."""

from fileservice.storage import StoredFile

_MAX_PREVIEW_SIZE = 20 << 20
_IMAGES = ("png", "jpeg", "gif", "webp", "bmp", "avif")
"""Images that are served inline and that browsers show; they do not show TIFF."""
_PLAYABLE = (
    "audio/mpeg", "audio/mp4", "audio/wav", "audio/flac", "audio/ogg", "video/mp4", "video/webm",
)  # fmt: skip
_TABLES = ("text/csv", "text/tab-separated-values")
_TEXTS = (
    "text/plain", "text/markdown", "text/css", "text/javascript", "text/calendar", "text/vcard",
    "text/html", "application/xml", "application/yaml", "application/toml", "image/svg+xml",
)  # fmt: skip
"""Types whose source is shown as plain text, so that nothing in them runs."""
_KINDS = {
    "document": "pdf doc docx odt rtf epub ps eps",
    "sheet": "csv tsv xls xlsx ods",
    "slides": "ppt pptx odp odg",
    "archive": "zip gz tgz bz2 xz zst 7z tar",
}
_KIND_OF_EXTENSION = {
    extension: kind for kind, extensions in _KINDS.items() for extension in extensions.split()
}


def kind_of(file: StoredFile) -> str:
    """Return the kind of a file that its icon shows: `image`, `audio`, `video`, `text` …"""
    kind = _KIND_OF_EXTENSION.get(file.name.extension)
    if kind:
        return kind
    family = file.content.media_type.partition("/")[0]
    return family if family in ("image", "audio", "video", "text") else "other"


def preview_of(file: StoredFile) -> str | None:
    """Return how the page can show a file.

    As an `image`, `audio` or `video`, in a `frame`, as a `table`, as `json` or as `text`; None for
    not at all. Of the last three, the page fetches the first part only.
    """
    media_type = file.content.media_type
    family, _, subtype = media_type.partition("/")
    if family == "image" and subtype in _IMAGES:
        return "image" if file.size <= _MAX_PREVIEW_SIZE else None
    if media_type in _PLAYABLE:
        return family
    if media_type == "application/pdf":
        return "frame"
    if media_type in _TABLES:
        return "table"
    if media_type == "application/json":
        return "json"
    return "text" if media_type in _TEXTS else None
