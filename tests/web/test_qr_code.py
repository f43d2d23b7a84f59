"""QR codes of links."""

from xml.etree import ElementTree

import segno

from fileservice.web.qr_code import qr_code

URL = "https://files.example.org/s/" + "a" * 43
SVG = "{http://www.w3.org/2000/svg}"


def test_a_qr_code_is_an_svg_document_of_paths_that_scales() -> None:
    picture = ElementTree.fromstring(qr_code(URL))
    assert picture.tag == SVG + "svg"
    assert {part.tag for part in picture} == {SVG + "path"}
    width = segno.make(URL, micro=False).symbol_size()[0]
    assert picture.get("viewBox") == f"0 0 {width} {width}"
    assert picture.get("width") is None
