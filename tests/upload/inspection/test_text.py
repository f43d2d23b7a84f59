"""Text: any encoding is accepted, and no control character at any place."""

import codecs

import pytest

from fileservice.upload import ContentMismatch
from tests.support.rows import every_row
from tests.upload.inspection.support import TEXT, accepts, inspect

GREEK = "Ὅμηρος — Ἰλιάς: μῆνιν ἄειδε θεά 😀\n"
SHORT = "aéᾶ😀\n"
"""A character of each length in UTF-8."""
WINDOWS = "„Straße“ … 20 €\r\n"


@every_row(
    ("encoded", "charset"),
    [
        (b"plain ASCII\r\n\tand a tab\f", "utf-8"),
        (GREEK.encode(), "utf-8"),
        (codecs.BOM_UTF8 + GREEK.encode(), "utf-8"),
        (codecs.BOM_UTF16_LE + GREEK.encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + GREEK.encode("utf-16-be"), "utf-16"),
        ("déjà vu, garçon\n".encode("latin-1"), None),
        (WINDOWS.encode("cp1252"), None),
        ("日本語のテキスト".encode("shift-jis"), None),
        (b"\x1b[1mcolours of a terminal\x1b[0m\n", "utf-8"),
        (b"a", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF8, "utf-8"),
    ],
)
def test_text_is_accepted_in_any_encoding_and_its_charset_given_if_certain(
    encoded: bytes, charset: str | None
) -> None:
    assert inspect("txt", encoded).charset == charset


@every_row(
    "encoded",
    [
        codecs.BOM_UTF8 + SHORT.encode(),
        SHORT.encode(),
        codecs.BOM_UTF16_LE + SHORT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + SHORT.encode("utf-16-be"),
        WINDOWS.encode("cp1252"),
    ],
)
def test_text_may_be_divided_into_blocks_anywhere(encoded: bytes) -> None:
    expected = inspect("txt", encoded)

    for first in range(len(encoded) + 1):
        for second in range(first, first + 5):  # longer than any character and its mark
            blocks = (encoded[:first], encoded[first:second], encoded[second:])
            assert inspect("txt", *blocks) == expected
    assert inspect("txt", *(bytes([byte]) for byte in encoded)) == expected


@every_row("control", [b"\0", b"\x01", b"\x0e", b"\x1a", b"\x7f"])
@every_row("extension", [*sorted(TEXT), "json"])
def test_control_character_after_megabytes_is_refused(extension: str, control: bytes) -> None:
    text = [b"a line of text\n" * 70_000] * 3

    assert accepts("txt", *text)
    assert not accepts(extension, *text, control)
    assert not accepts(extension, text[0] + text[1] + text[2] + control)


@every_row(("order", "bom"), [("le", b"\xff\xfe"), ("be", b"\xfe\xff")])
def test_control_character_in_utf_16_is_refused(order: str, bom: bytes) -> None:
    text = (GREEK * 20_000).encode(f"utf-16-{order}")
    nul = "\0".encode(f"utf-16-{order}")

    assert accepts("txt", bom + text)
    assert not accepts("txt", bom + text + nul)


@every_row("order", ["le", "be"])
def test_utf_16_that_ends_inside_a_character_is_refused(order: str) -> None:
    text = "\ufeff😀😀".encode(f"utf-16-{order}")

    assert accepts("txt", text)
    for missing in (1, 2, 3):
        assert not accepts("txt", text[:-missing])


def test_utf_8_that_ends_inside_a_character_is_not_utf_8() -> None:
    cut = GREEK.encode()[:1]

    assert not accepts("txt", codecs.BOM_UTF8 + cut)
    assert inspect("txt", b"text " + cut).charset is None


def test_utf_16_without_byte_order_mark_is_refused() -> None:
    assert not accepts("txt", "plain".encode("utf-16-le"))
    assert not accepts("txt", "plain".encode("utf-16-be"))


def test_utf_32_is_refused() -> None:
    assert not accepts("txt", "plain".encode("utf-32"))


@every_row(
    "head", ["# Title\n", "MZ", "BM", "BMW 320", "RIFF", "From: a@b.org\n", "#!/bin/sh\n", "PK"]
)
def test_prose_that_begins_like_a_signature_is_accepted(head: str) -> None:
    assert accepts("txt", (head + " and so on\n" * 500).encode())


@every_row(
    ("head", "media_type"),
    [
        ("%PDF-1.4\n", "application/pdf"),
        ("{\\rtf1 ", "text/rtf"),
        ("%!PS-Adobe-3.0\n", "application/postscript"),
        ("GIF89a", "image/gif"),
        ("fLaC", "audio/flac"),
    ],
)
def test_text_with_the_signature_of_a_document_is_refused(head: str, media_type: str) -> None:
    with pytest.raises(ContentMismatch) as raised:
        inspect("txt", (head + " and so on\n" * 500).encode())
    assert raised.value.found == media_type
