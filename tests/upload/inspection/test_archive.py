"""Zip archives, and documents that are zip archives: detected without decompression."""

import io
import struct
import zipfile
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.filetypes import TABLE
from tests.support.rows import every_row
from tests.upload.inspection.support import (
    MIB,
    SAMPLES,
    accepts,
    make_zip,
    members_of,
    memory_bounded,
    stream_zip,
)

ODF_TEXT = TABLE["odt"].media_type.encode()


@every_row(
    ("document", "others"),
    [("note.docx", "xlsx pptx odt"), ("t.xlsx", "docx pptx ods")],
)
@every_row("order", ["reversed", "large first", "stored"])
def test_office_document_is_detected_with_members_in_any_order(
    document: str, others: str, order: str
) -> None:
    parts = members_of(document)
    rezipped = {
        "reversed": lambda: make_zip(reversed(parts.items())),
        "large first": lambda: make_zip(
            [("docProps/thumbnail.jpeg", bytes(3 * MIB)), *parts.items()], zipfile.ZIP_STORED
        ),
        "stored": lambda: make_zip(sorted(parts.items()), zipfile.ZIP_STORED),
    }[order]()

    assert accepts(document.rpartition(".")[2], rezipped)
    assert accepts("zip", rezipped)
    for other in others.split():
        assert not accepts(other, rezipped)


@every_row(("document", "other"), [("note.odt", "ods"), ("t.ods", "odt")])
@every_row(("extra", "flags"), [(b"", 0), (b"UT\x05\0\x03abcd", 0), (b"", 8)])
def test_open_document_is_detected_by_its_first_member(
    document: str, other: str, extra: bytes, flags: int
) -> None:
    extension = document.rpartition(".")[2]
    info = zipfile.ZipInfo("mimetype")
    info.extra = extra
    rest = {name: data for name, data in members_of(document).items() if name != "mimetype"}
    members = [(info, TABLE[extension].media_type.encode()), *rest.items()]
    content = stream_zip(members) if flags else make_zip(members)
    assert content[6] == flags

    assert accepts(extension, content)
    assert not accepts(other, content)


@every_row("document", ["note.odt", "t.ods"])
def test_open_document_whose_mimetype_is_not_first_and_uncompressed_is_refused(
    document: str,
) -> None:
    """OpenDocument 1.3, part 2, section 3.3."""
    parts, extension = members_of(document), document.rpartition(".")[2]

    assert not accepts(extension, make_zip(reversed(parts.items()), zipfile.ZIP_STORED))
    assert not accepts(extension, make_zip(parts.items(), zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize(
    "method",
    [
        zipfile.ZIP_DEFLATED,
        pytest.param(zipfile.ZIP_BZIP2, marks=pytest.mark.thorough),
        pytest.param(zipfile.ZIP_LZMA, marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_large_member_is_not_decompressed(method: int, first: bool) -> None:
    bomb = make_zip([("a", b"a")] * (not first) + [("mimetype", bytes(20 * MIB))], method)

    with memory_bounded(4 * MIB):
        assert not accepts("odt", bomb)


@every_row("extension", ["docx", "odt", "zip"])
def test_large_directory_is_not_read_into_memory(extension: str) -> None:
    blocks = archive_with_a_large_directory()
    with memory_bounded(4 * MIB):
        assert accepts(extension, *blocks) == (extension == "zip")


@cache
def archive_with_a_large_directory() -> list[bytes]:
    """The record of its size is as far from the end as the longest comment allows."""
    members = []
    for number in range(500):
        info = zipfile.ZipInfo(f"{number}")
        info.comment = b"c" * 65535
        members.append((info, b""))
    parts = make_zip(members)
    end = len(parts) - 22
    count, size, offset = struct.unpack("<H2I", parts[-12:-2])
    assert size > 30 * MIB
    zip64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    content = parts[:end] + zip64 + locator + parts[end:-2] + b"\xff\xff" + b"c" * 65535
    return [content[offset : offset + MIB] for offset in range(0, len(content), MIB)]


def test_other_archive_is_a_zip_and_no_document() -> None:
    plain = make_zip([("a.txt", b"a"), ("b/c.txt", b"c")])

    assert accepts("zip", plain)
    assert accepts("zip", make_zip([]))
    for extension in ("docx", "xlsx", "pptx", "odt", "ods", "odp"):
        assert not accepts(extension, plain)
        assert not accepts(extension, make_zip([]))


def test_longest_comment_is_accepted() -> None:
    buffer = io.BytesIO((SAMPLES / "note.docx").read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"c" * 65535

    assert accepts("docx", buffer.getvalue())
    assert accepts("zip", buffer.getvalue())


@every_row("extension", ["zip", "docx"])
def test_archive_without_its_end_is_refused(extension: str) -> None:
    content = (SAMPLES / "note.docx").read_bytes()

    for missing in (1, 22, 100, 1000):
        assert not accepts(extension, content[:-missing])


def test_encrypted_archive_is_a_zip() -> None:
    content = bytearray(make_zip([("secret.txt", b"not really encrypted")]))
    content[6] |= 1  # the encryption flag in the header of the member
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in its directory entry

    assert accepts("zip", bytes(content))
    assert not accepts("odt", bytes(content))


def test_document_with_an_encrypted_mimetype_is_refused() -> None:
    content = bytearray(make_zip([("mimetype", ODF_TEXT), ("a", b"a")], zipfile.ZIP_STORED))
    assert accepts("odt", bytes(content))

    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1

    assert not accepts("odt", bytes(content))


@every_row(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@every_row("offset", range(0, 24, 3))
def test_damaged_mimetype_is_refused(method: int, offset: int) -> None:
    content = bytearray(make_zip([("mimetype", ODF_TEXT), ("a", b"a")], method))
    assert accepts("odt", bytes(content)) == (method == zipfile.ZIP_STORED)

    start = content.index(b"mimetype") + len(b"mimetype") + offset
    for position in range(start, start + 12):
        content[position] ^= 0xA5

    assert not accepts("odt", bytes(content))


@given(st.data())
def test_damaged_archive_raises_no_other_error(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    content = bytearray(make_zip([("mimetype", ODF_TEXT), ("a", b"a" * 50)], method))
    end = len(content) - 1
    # Most of what a reader relies on is in the directory and the end record.
    positions = st.integers(0, end) | st.integers(content.index(b"PK\x01\x02"), end)
    changes = st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=6)
    for position, value in data.draw(changes):
        content[position] = value

    accepts("odt", bytes(content))
