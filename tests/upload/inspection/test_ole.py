"""Compound files (OLE): the directory that tells their type may be anywhere in the file."""

import olefile

from tests.support import ole
from tests.support.rows import every_row
from tests.upload.inspection.support import MIB, SAMPLES, accepts


@every_row("megabytes", [4, 9, 20])
@every_row("document", ["note.doc", "t.xls"])
def test_enlarged_samples_are_valid_to_olefile(document: str, megabytes: int) -> None:
    original = (SAMPLES / document).read_bytes()
    grown = ole.grow(original, megabytes * MIB)

    with olefile.OleFileIO(original) as small, olefile.OleFileIO(grown) as large:
        assert large.listdir() == small.listdir()
        for path in small.listdir():
            with small.openstream(path) as expected, large.openstream(path) as moved:
                assert moved.read() == expected.read()
        assert large.parsing_issues == []
        assert large.first_dir_sector * 512 >= megabytes * MIB - 512


@every_row("megabytes", [4, 9, 20])
@every_row(
    ("document", "extension", "fits"),
    [
        ("note.doc", "doc", True),
        ("note.doc", "xls", False),
        ("note.doc", "ppt", False),
        ("t.xls", "xls", True),
        ("t.xls", "doc", False),
        ("t.xls", "ppt", False),
    ],
)
def test_directory_is_found_at_any_offset(
    document: str, extension: str, fits: bool, megabytes: int
) -> None:
    grown = ole.grow((SAMPLES / document).read_bytes(), megabytes * MIB)

    assert accepts(extension, grown) == fits


@every_row("document", ["note.doc", "t.xls"])
def test_truncated_compound_file_raises_no_other_error(document: str) -> None:
    content = (SAMPLES / document).read_bytes()

    for length in range(0, len(content), 97):
        accepts(document.rpartition(".")[2], content[:length])


def test_compound_file_without_its_directory_is_refused() -> None:
    grown = ole.grow((SAMPLES / "note.doc").read_bytes(), 4 * MIB)

    assert not accepts("doc", grown[: 4 * MIB - 512])
