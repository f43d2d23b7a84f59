"""PDF: names that stand in the file in clear, and are refused by policy."""

import pytest

from fileservice.content_risks import ContentRisk
from fileservice.upload import TooComplex
from tests.support.rows import every_row
from tests.upload.inspection.support import SAMPLES, inspect
from tests.upload.inspection.test_archive_content import ALL, refused_by

PDF = (SAMPLES / "note.pdf").read_bytes()

FOUND = [
    (b"/S /JavaScript /JS (app.alert(1))", ContentRisk.PDF_SCRIPTS),
    (b"/S/Rendition/JS 12 0 R", ContentRisk.PDF_SCRIPTS),
    (b"/J#61vaScript ", ContentRisk.PDF_SCRIPTS),
    (b"/#4A#53(app)", ContentRisk.PDF_SCRIPTS),
    (b"/#4a#61#76#61#53#63#72#69#70#74\r", ContentRisk.PDF_SCRIPTS),
    (b"/XFA[1 0 R]", ContentRisk.PDF_SCRIPTS),
    (b"/Subtype/RichMedia>>", ContentRisk.PDF_SCRIPTS),
    (b"/S/Launch/Win<<>>", ContentRisk.PDF_LAUNCH),
    (b"/Type/EmbeddedFile/Length 3", ContentRisk.PDF_FILES),
    (b"/Names<</EmbeddedFiles 7 0 R>>", ContentRisk.PDF_FILES),
    (b"/Launch", ContentRisk.PDF_LAUNCH),
]
OTHERS = [b"/JavaScripts ", b"/JSON(", b"/JS\x81\x92", b"/Launcher/", b"JavaScript ", b"/Embedded "]


def test_ordinary_pdf_is_accepted_by_the_strictest_policy() -> None:
    inspect("pdf", PDF, policy=ALL)


@every_row(("text", "risk"), FOUND)
def test_name_is_refused_by_policy(text: bytes, risk: ContentRisk) -> None:
    refused_by(risk, PDF + text, "pdf")
    inspect("pdf", PDF + text)


@every_row("text", OTHERS)
def test_other_name_is_accepted(text: bytes) -> None:
    inspect("pdf", PDF + text, policy=ALL)


@every_row("text", [text for text, _ in FOUND])
def test_name_is_found_wherever_blocks_end(text: bytes) -> None:
    with pytest.raises(Exception, match="not accepted here"):
        inspect("pdf", PDF, *(bytes([byte]) for byte in text), policy=ALL)


def test_names_that_begin_like_one_that_is_refused_are_limited() -> None:
    inspect("pdf", PDF + b"/JSx" * 490_000, policy=ALL)
    with pytest.raises(TooComplex) as raised:
        inspect("pdf", PDF + b"/JSx" * 500_001, policy=ALL)
    assert (raised.value.resource, raised.value.limit) == ("structure", 500_000)


@pytest.mark.thorough
def test_slashes_are_limited_unless_the_file_is_large() -> None:
    sparse = [b"/".rjust(64) * (1 << 14)] * 260  # 4.2 million in 260 MiB
    inspect("pdf", PDF, *sparse, policy=ALL)
    with pytest.raises(TooComplex):
        inspect("pdf", PDF, b"/" * 4_100_000, policy=ALL)
