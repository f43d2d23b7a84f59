"""Pieces of a file that claim to be pieces: they are refused, for they must not pass as the file.

A piece is known by Content-Range (RFC 9110 section 14.5), or by the parameters that the uploaders
for pages send along, in the query string or as fields of the form.
"""

from collections.abc import Mapping

from fileservice.protocols.errors import PieceOfFile

TOTALS = {
    "dztotalchunkcount": "Dropzone",
    "resumableTotalChunks": "Resumable.js",
    "flowTotalChunks": "Flow.js",
    "chunks": "Plupload",
    "qqtotalparts": "Fine Uploader",
}
"""The parameter that says in how many pieces the file comes, and whose it is."""
_TESTED = ("resumableChunkNumber", "flowChunkNumber")
"""Where a piece is asked for by GET with one of these, 200 means that it is here already."""
_LONGEST = 20


def refuse_piece(parameters: Mapping[str, str]) -> None:
    """Raise PieceOfFile if these say that the file comes in more than one piece."""
    for name, dialect in TOTALS.items():
        total = parameters.get(name, "").strip()[:_LONGEST]
        if total.isascii() and total.isdigit() and int(total) > 1:
            raise PieceOfFile(dialect)


def asks_for_piece(parameters: Mapping[str, str]) -> bool:
    """Whether a GET with these asks if a piece is here, which may be all of the file."""
    return any(name in parameters for name in _TESTED)
