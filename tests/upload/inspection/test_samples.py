"""Real documents are accepted under the extensions that fit them, and no others."""

import pytest

from fileservice.filetypes import DEFAULT_EXTENSIONS, TABLE
from fileservice.upload import ContentMismatch
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.inspector import Inspector
from tests.support.rows import every_row
from tests.upload.inspection.support import EXTENSIONS, SAMPLES, TEXT, accepts, inspect


def test_every_sample_is_listed_with_its_extensions() -> None:
    assert set(EXTENSIONS) == {path.name for path in SAMPLES.iterdir()}


def extensions_that_accept(content: bytes) -> set[str]:
    return {extension for extension in DEFAULT_EXTENSIONS if accepts(extension, content)}


@every_row("document", EXTENSIONS)
def test_sample_is_accepted_under_its_extensions_and_no_other(document: str) -> None:
    content = (SAMPLES / document).read_bytes()

    assert extensions_that_accept(content) == set(EXTENSIONS[document]) & set(DEFAULT_EXTENSIONS)


def test_json_is_also_accepted_as_text() -> None:
    accepted = extensions_that_accept(b'{"a": [1, 2, null]}\n')

    assert accepted == (TEXT | {"json"}) & set(DEFAULT_EXTENSIONS)


@every_row("document", EXTENSIONS)
def test_sample_gets_the_media_type_of_its_extension(document: str) -> None:
    extension = document.rpartition(".")[2]

    verdict = inspect(extension, (SAMPLES / document).read_bytes())

    assert verdict.media_type == TABLE[extension].media_type


def test_error_names_the_expected_and_the_detected_type() -> None:
    with pytest.raises(ContentMismatch, match=r"\.png.*image/jpeg") as raised:
        inspect("png", (SAMPLES / "img.jpg").read_bytes())

    assert raised.value.expected == "image/png"
    assert raised.value.found == "image/jpeg"


def test_wrong_type_is_refused_as_soon_as_the_head_has_arrived() -> None:
    inspector = Inspector(TABLE["png"], ContentPolicy())

    with pytest.raises(ContentMismatch):
        inspector.feed((SAMPLES / "img.bmp").read_bytes()[:4096])


@every_row("extension", [e for e in DEFAULT_EXTENSIONS if e not in TEXT])
def test_empty_file_is_refused_as_anything_but_text(extension: str) -> None:
    assert not accepts(extension)
    assert not accepts(extension, b"")


@every_row("extension", sorted(TEXT))
def test_empty_file_is_accepted_as_text(extension: str) -> None:
    assert inspect(extension).charset == "utf-8"
