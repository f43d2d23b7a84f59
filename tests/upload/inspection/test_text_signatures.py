"""A text is compared with libmagic's signatures if it begins as one of a binary type may."""

import sys
from functools import cache

from fileservice.filetypes import TABLE, Family
from fileservice.upload.inspection import inspector
from fileservice.upload.inspection.text_signatures import (
    ORDINARY_BYTES,
    SIGNATURE_BYTES,
    may_have_signature,
)
from tests.support.rows import every_row
from tests.upload.inspection.magic_database import SIZES, Comparison, signatures_of_binary_files
from tests.upload.inspection.support import accepts

ASCII = [byte for byte in ORDINARY_BYTES if byte < 0x80]
FILLER = b"a text\n" * 100
BINARY = {
    media_type
    for file_type in TABLE.values()
    if file_type.family not in (Family.TEXT, Family.JSON)
    for media_type in file_type.magic
}
IGNORES_CASE_OR_SPACES = 0b1111
signatures = cache(signatures_of_binary_files)


def text_that_passes(test: Comparison) -> bytes | None:
    """Return the beginning of a text that has no mark of an encoding and passes; None if none."""
    needed = []
    for place, byte in enumerate(test.value):
        mask = 0xFF
        if test.kind in SIZES:
            mask = test.mask >> 8 * place & 0xFF if test.mask else 0xFF
        choices = ASCII if test.offset + place < SIGNATURE_BYTES else ORDINARY_BYTES
        if test.relation == "<":
            fitting = [choice for choice in choices if choice <= byte]
        else:
            fitting = [choice for choice in choices if choice & mask == byte & mask]
        if not fitting:
            return None
        needed.append(fitting[0])
    value = bytes(needed)
    if test.kind in SIZES and not test.kind.startswith("le"):
        is_native = test.kind in ("byte", "short", "long", "quad") and sys.byteorder == "little"
        value = value if is_native else value[::-1]
    return FILLER[: test.offset] + value + FILLER


def test_every_signature_of_a_binary_type_that_a_text_can_have_is_looked_for() -> None:
    of_binary_types = [test for test, types in signatures() if types & (BINARY | {"any"})]
    assert len(of_binary_types) > 80

    for test in of_binary_types:
        assert test.kind in ("string", *SIZES), test
        assert test.relation in "=<", test
        assert test.kind != "string" or not test.string_flags & IGNORES_CASE_OR_SPACES, test
        text = text_that_passes(test)
        assert text is None or may_have_signature(text), test


def test_a_text_whose_beginning_is_that_of_any_other_type_is_still_no_binary_type() -> None:
    beginnings = {
        test.value for test, _ in signatures() if test.kind == "string" and not test.offset
    }
    texts = [beginning + FILLER for beginning in beginnings]
    without = [text for text in texts if not may_have_signature(text)]
    assert len(without) > 500

    assert not {inspector._identify(t, inspector._ONLY_SIGNATURES) for t in without} & BINARY


@every_row(
    "text",
    [
        b"%PDF-1.7\n",
        b"{\\rtf1 a document}",
        b"%!PS-Adobe-3.0\n",
        b"GIF89a" + FILLER,
        b"RIFFsizeWAVEfmt ",
        b"    ftypisom" + FILLER,
    ],
)
def test_a_text_that_is_a_document_or_a_picture_is_refused(text: bytes) -> None:
    assert not accepts("txt", text)


def test_a_tar_archive_that_consists_of_text_is_refused() -> None:
    fields = b"name.txt".ljust(100), b"0000644 ", b"0000000 ", b"0000000 ", b"00000000000 "
    before, after = b"".join(fields) + b"00000000000 ", b" " + b" " * 355
    checksum = b"%06o  " % (sum(before) + sum(b" " * 8) + sum(after))
    archive = before + checksum + after + b"a line\n" * 512
    assert not may_have_signature(archive[: inspector.HEAD])

    assert inspector._identify(archive, inspector._ONLY_SIGNATURES) == "application/x-tar"
    assert not accepts("txt", archive)


def test_an_ordinary_text_has_no_signature() -> None:
    assert not may_have_signature(FILLER)
    assert not may_have_signature("a text with ümlauts".encode())
    assert not may_have_signature(b"")
