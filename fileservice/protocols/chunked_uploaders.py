"""Recognise the requests of JavaScript uploaders that send a file in chunks.

These uploaders have no common standard: each sends parameters of its own, in the query string or as
fields of the form, and expects its own server to assemble the chunks. This service does not, and
must not publish a chunk as if it were the file.

Documentation: https://docs.dropzone.dev, https://github.com/23/resumable.js,
https://github.com/flowjs/flow.js, https://www.plupload.com/docs, https://docs.fineuploader.com
"""

from collections.abc import Mapping

from fileservice.protocols.errors import ChunkedUpload

CHUNK_COUNTS = {
    "dztotalchunkcount": "Dropzone",
    "resumableTotalChunks": "Resumable.js",
    "flowTotalChunks": "Flow.js",
    "chunks": "Plupload",
    "qqtotalparts": "Fine Uploader",
}
"""The parameter that gives the number of chunks of the file → the uploader that sends it."""
_CHUNK_NUMBERS = ("resumableChunkNumber", "flowChunkNumber")
"""Resumable.js and Flow.js ask with GET whether the server has a chunk (`testChunks`)."""
_PREFIXES = ("dz", "resumable", "flow", "qq")
_ARGUMENTS_OF_PLUPLOAD = ("name", "chunk", "chunks")
_MAX_DIGITS = 20


def reject_chunk(parameters: Mapping[str, str]) -> None:
    """Raise ChunkedUpload if these parameters say that the file has more than one chunk."""
    for name, uploader in CHUNK_COUNTS.items():
        count = parameters.get(name, "").strip()[:_MAX_DIGITS]
        if count.isascii() and count.isdigit() and int(count) > 1:
            raise ChunkedUpload(uploader)


def is_argument_of_uploader(name: str) -> bool:
    """Return whether one of these uploaders sends a parameter of this name."""
    return name.startswith(_PREFIXES) or name in _ARGUMENTS_OF_PLUPLOAD


def is_chunk_test(parameters: Mapping[str, str]) -> bool:
    """Return whether a GET request with these parameters asks if the server has a chunk."""
    return any(name in parameters for name in _CHUNK_NUMBERS)
