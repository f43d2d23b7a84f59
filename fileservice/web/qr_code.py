"""QR codes of links, as pictures that need no other file."""

from io import BytesIO

import segno


def qr_code(text: str) -> str:
    """Return a QR code (ISO/IEC 18004) of `text` as an SVG document, black on white."""
    picture = BytesIO()
    code = segno.make(text, micro=False)
    code.save(picture, kind="svg", xmldecl=False, omitsize=True, light="#fff", nl=False)
    return picture.getvalue().decode()
