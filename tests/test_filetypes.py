"""The table of file types keeps to the contract."""

import re
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.filetypes import DEFAULT_EXTENSIONS, INLINE_MEDIA_TYPES, TABLE, Family

README = Path(__file__).parent.parent / "README.md"


def test_the_default_list_is_the_documented_one() -> None:
    listed = re.search(r"Allowed by default:\s*([a-z0-9,\s]+?)\.", README.read_text())
    assert listed

    assert re.split(r",\s*", listed[1]) == list(DEFAULT_EXTENSIONS)


def test_every_default_extension_can_be_checked() -> None:
    assert set(DEFAULT_EXTENSIONS) <= set(TABLE)


@pytest.mark.parametrize("extension", TABLE)
def test_a_row_is_consistent_in_itself(extension: str) -> None:
    row = TABLE[extension]

    assert row.extension == extension
    assert re.fullmatch(r"[a-z0-9]{1,10}", extension)
    assert row.media_type in row.magic
    for media_type in row.magic:
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", media_type)


def test_no_content_type_belongs_to_two_families() -> None:
    families: dict[str, Family] = {}
    for row in TABLE.values():
        assert families.setdefault(row.media_type, row.family) is row.family


def test_what_is_shown_in_place_can_carry_no_script() -> None:
    served = {row.media_type for row in TABLE.values()}
    active = {TABLE[extension].media_type for extension in ("html", "svg", "xml", "js", "css")}

    assert served >= INLINE_MEDIA_TYPES
    assert not INLINE_MEDIA_TYPES & active


def test_selecting_gives_the_rows_asked_for() -> None:
    assert filetypes.select(["pdf", "txt"]) == {"pdf": TABLE["pdf"], "txt": TABLE["txt"]}
    with pytest.raises(KeyError, match="exe"):
        filetypes.select(["pdf", "exe"])


def test_a_file_of_a_kind_nobody_knows_is_served_as_bytes() -> None:
    assert filetypes.media_type_of("pdf") == "application/pdf"
    assert filetypes.media_type_of("exe") == "application/octet-stream"
    assert filetypes.media_type_of("") == "application/octet-stream"
