"""What the page shows of a file: its kind, and a preview."""

from fileservice.filetypes import TABLE
from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.web.file_kinds import kind_of, preview_of
from tests.support.rows import every_row

LARGE = (20 << 20) + 1


def file(extension: str, size: int = 1) -> StoredFile:
    content = Content(TABLE[extension].media_type)
    return StoredFile(FileName(f"a.{extension}"), size, 0, content, "v")


@every_row(
    ("extension", "size", "preview"),
    [
        ("png", 1, "image"), ("tif", 1, None), ("png", LARGE, None), ("svg", 1, "text"),
        ("pdf", 1 << 30, "frame"), ("txt", LARGE, "text"), ("md", 1, "text"), ("html", 1, "text"),
        ("csv", LARGE, "table"), ("tsv", 1, "table"), ("json", LARGE, "json"),
        ("mp3", LARGE, "audio"), ("mp4", LARGE, "video"), ("avi", 1, None), ("zip", 1, None),
        ("docx", 1, None),
    ],
)  # fmt: skip
def test_files_that_browsers_show_safely_have_a_preview(
    extension: str, size: int, preview: str | None
) -> None:
    assert preview_of(file(extension, size)) == preview


@every_row(
    ("extension", "kind"),
    [
        ("pdf", "document"), ("csv", "sheet"), ("pptx", "slides"), ("zip", "archive"),
        ("svg", "image"), ("mp3", "audio"), ("mov", "video"), ("md", "text"), ("json", "other"),
    ],
)  # fmt: skip
def test_a_file_has_an_icon_for_its_kind(extension: str, kind: str) -> None:
    assert kind_of(file(extension)) == kind
