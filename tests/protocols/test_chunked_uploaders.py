"""Requests of JavaScript uploaders that send a file in chunks."""

import pytest

from fileservice.protocols.chunked_uploaders import CHUNK_COUNTS, is_chunk_test, reject_chunk
from fileservice.protocols.errors import ChunkedUpload, IncompleteBody
from tests.support.rows import every_row

# The parameters of the second of three chunks, as each uploader sends them.
REQUESTS = {
    "Dropzone": {
        "dzuuid": "7a56", "dzchunkindex": "1", "dztotalfilesize": "2500", "dzchunksize": "1000",
        "dztotalchunkcount": "3", "dzchunkbyteoffset": "1000",
    },
    "Resumable.js": {
        "resumableChunkNumber": "2", "resumableChunkSize": "1000", "resumableTotalSize": "2500",
        "resumableIdentifier": "2500-atxt", "resumableTotalChunks": "3",
    },
    "Flow.js": {
        "flowChunkNumber": "2", "flowChunkSize": "1000", "flowTotalSize": "2500",
        "flowIdentifier": "2500-atxt", "flowTotalChunks": "3",
    },
    "Plupload": {"name": "a.txt", "chunk": "1", "chunks": "3"},
    "Fine Uploader": {"qqpartindex": "1", "qqtotalfilesize": "2500", "qqtotalparts": "3"},
}  # fmt: skip


def test_every_known_uploader_is_tested_here() -> None:
    assert set(REQUESTS) == set(CHUNK_COUNTS.values())


@every_row("uploader", REQUESTS)
def test_chunk_raises_chunked_upload_with_the_uploader(uploader: str) -> None:
    with pytest.raises(ChunkedUpload, match=uploader) as raised:
        reject_chunk(REQUESTS[uploader])
    assert raised.value.dialect == uploader
    assert isinstance(raised.value, IncompleteBody)


@every_row("count", ["2", "10", "02", " 2 ", "9" * 5000])
def test_count_above_one_raises_chunked_upload(count: str) -> None:
    with pytest.raises(ChunkedUpload):
        reject_chunk({"chunks": count})


@every_row("count", ["1", "01", "0", "-2", "+2", "2.0", "", " ", "two", "²", "٢"])
def test_count_that_is_not_above_one_is_accepted(count: str) -> None:
    reject_chunk({"chunks": count})


@every_row("parameters", [{}, {"Chunks": "2"}, {"chunk": "2"}, {"inline": "1"}])
def test_other_parameters_are_accepted(parameters: dict[str, str]) -> None:
    reject_chunk(parameters)


@every_row("uploader", REQUESTS)
def test_only_resumable_js_and_flow_js_test_for_chunks(uploader: str) -> None:
    assert is_chunk_test(REQUESTS[uploader]) is (uploader in ("Resumable.js", "Flow.js"))


def test_request_without_parameters_is_not_a_chunk_test() -> None:
    assert not is_chunk_test({})
