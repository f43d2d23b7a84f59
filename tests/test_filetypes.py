"""The table of file types: consistent in itself and with the page of the settings."""

import re
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.filetypes import DEFAULT_EXTENSIONS, INLINE_MEDIA_TYPES, TABLE, Family

SETTINGS_PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def test_default_extensions_are_those_on_the_page_of_the_settings() -> None:
    listed = re.search(r"Allowed by default:\s*([a-z0-9,\s]+?)\.", SETTINGS_PAGE.read_text())
    assert listed

    assert re.split(r",\s*", listed[1]) == list(DEFAULT_EXTENSIONS)


def test_default_extensions_are_in_the_table() -> None:
    assert set(DEFAULT_EXTENSIONS) <= set(TABLE)


@pytest.mark.parametrize("extension", TABLE)
def test_row_is_consistent(extension: str) -> None:
    row = TABLE[extension]

    assert row.extension == extension
    assert re.fullmatch(r"[a-z0-9]{1,10}", extension)
    assert row.media_type in row.magic
    for media_type in row.magic:
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", media_type)


def test_rows_of_one_media_type_have_one_family() -> None:
    families: dict[str, Family] = {}
    for row in TABLE.values():
        assert families.setdefault(row.media_type, row.family) is row.family


def test_inline_media_types_cannot_run_scripts() -> None:
    served = {row.media_type for row in TABLE.values()}
    active = {TABLE[extension].media_type for extension in ("html", "svg", "xml", "js", "css")}

    assert served >= INLINE_MEDIA_TYPES
    assert not INLINE_MEDIA_TYPES & active


def test_select_returns_the_rows_of_the_given_extensions() -> None:
    assert filetypes.select(["pdf", "txt"]) == {"pdf": TABLE["pdf"], "txt": TABLE["txt"]}
    with pytest.raises(KeyError, match="exe"):
        filetypes.select(["pdf", "exe"])


def test_unknown_extension_has_the_media_type_of_bytes() -> None:
    assert filetypes.media_type_of("pdf") == "application/pdf"
    assert filetypes.media_type_of("exe") == "application/octet-stream"
    assert filetypes.media_type_of("") == "application/octet-stream"
