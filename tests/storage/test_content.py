"""The content of a file is read from text that other programs may write, too."""

from fileservice.names import FileName
from fileservice.storage import Content
from tests.support.rows import every_row

NAME = FileName.parse("a.txt")
DIGEST = bytes(range(32))


def test_content_is_read_from_well_formed_text() -> None:
    content = Content.from_text(NAME, "text/csv", "utf-8", DIGEST.hex())
    assert content == Content("text/csv", "utf-8", DIGEST)


@every_row("media_type", [None, "", "text", "text/html; charset=x", "a/b\r\nX: y"])
def test_without_a_media_type_that_of_the_extension_is_used(media_type: str | None) -> None:
    content = Content.from_text(NAME, media_type, "utf-8", None)
    assert content == Content("text/plain", charset=None)


@every_row("charset", [None, "", "utf 8", 'x"', "x\n", "é", "x" * 41])
def test_malformed_charset_is_unknown(charset: str | None) -> None:
    content = Content.from_text(NAME, "text/csv", charset, None)
    assert content == Content("text/csv", charset=None)


@every_row("digest", [None, "", "00", "é" * 64, DIGEST.hex().upper(), "0" * 65])
def test_malformed_digest_is_unknown(digest: str | None) -> None:
    assert Content.from_text(NAME, "text/csv", "utf-8", digest).sha256 is None
