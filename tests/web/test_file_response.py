"""Responses that carry a file: what send_file makes of them, and what is added."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from werkzeug.wrappers import Response

from fileservice.names import FileName
from fileservice.protocols.ranges import ByteRange
from fileservice.serving.environ import wrap_file
from fileservice.storage import Content, Opened, StoredFile
from fileservice.web.file_response import not_modified, send
from fileservice.wsgi_extensions import FileRegion, FileRegions
from tests.support.rows import every_row

Environ = dict[str, object]

DATA = b"0123456789" * 10


def stored(media_type: str = "text/plain", charset: str | None = None) -> StoredFile:
    content = Content(media_type, charset, bytes(32))
    return StoredFile(FileName.parse("a.txt"), len(DATA), 1_700_000_000 * 10**9, content, "v1")


def opened(body: io.IOBase, file: StoredFile | None = None) -> Opened:
    return Opened(file or stored(), cast(BinaryIO, body), lambda first, _end: body.seek(first))


@pytest.fixture(params=["our server", "another server"])
def environ(request: pytest.FixtureRequest) -> Environ:
    """What matters of the environment of a request under either server."""
    request_line = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1"}
    ours = {"wsgi.file_wrapper": wrap_file} if request.param == "our server" else {}
    return request_line | ours


def send_ranges(environ: Environ, *ranges: ByteRange, file: StoredFile | None = None) -> Response:
    return send(environ, opened(io.BytesIO(DATA), file), ranges, inline=False)


def body_of(response: Response) -> bytes:
    return b"".join(cast(Iterator[bytes], response.response))


def test_whole_file_is_200_with_the_header_fields_of_both(environ: Environ) -> None:
    response = send_ranges(environ)
    assert response.status_code == 200
    assert dict(response.headers) == {
        "Content-Type": "text/plain",
        "Content-Length": "100",
        "Content-Disposition": "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt",
        "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "ETag": '"v1"',
        "Cache-Control": "no-cache",
        "Accept-Ranges": "bytes",
        "Repr-Digest": "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": (
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
        ),
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert body_of(response) == DATA


def test_header_fields_come_once_each(environ: Environ) -> None:
    for response in (
        send_ranges(environ),
        send_ranges(environ, ByteRange(0, 1)),
        send_ranges(environ, ByteRange(0, 1)),
    ):
        names = [name.lower() for name, _ in response.headers]
        assert len(names) == len(set(names))


@every_row("charset", [None, "utf-16"])
def test_charset_is_that_of_the_file(environ: Environ, charset: str | None) -> None:
    response = send_ranges(environ, file=stored(charset=charset))
    expected = "text/plain; charset=utf-16" if charset else "text/plain"
    assert response.headers["Content-Type"] == expected


def test_one_range_is_206_with_content_range(environ: Environ) -> None:
    response = send_ranges(environ, ByteRange(5, 14))
    assert response.status_code == 206
    assert response.headers["Content-Range"] == "bytes 5-14/100"
    assert response.headers["Content-Length"] == "10"
    assert body_of(response) == DATA[5:15]


def test_several_ranges_are_the_parts_of_one_body(environ: Environ) -> None:
    response = send_ranges(environ, ByteRange(5, 14), ByteRange(90, 99))
    assert response.status_code == 206
    kind, _, boundary = response.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    body = body_of(response)
    assert len(body) == int(response.headers["Content-Length"])
    parts = body.split(f"\r\n--{boundary}".encode())
    assert parts[0] == b""
    assert parts[1] == (
        b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-14/100\r\n\r\n" + DATA[5:15]
    )
    assert parts[2].endswith(b"bytes 90-99/100\r\n\r\n" + DATA[90:])
    assert parts[3] == b"--\r\n"


def test_file_on_a_disk_is_sent_from_its_descriptor_under_our_server(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(DATA)
    with path.open("rb", buffering=0) as file:
        response = send(
            {"wsgi.file_wrapper": wrap_file, "REQUEST_METHOD": "GET"},
            opened(file),
            (ByteRange(5, 14),),
            inline=False,
        )
        body = response.response
        assert isinstance(body, FileRegions)
        assert (body.descriptor, body.pieces) == (file.fileno(), [FileRegion(5, 10)])


def test_closing_the_response_closes_the_file(environ: Environ) -> None:
    body = io.BytesIO(DATA)
    send(environ, opened(body), (), inline=False).close()
    assert body.closed


def test_not_modified_has_the_etag_and_no_body() -> None:
    response = not_modified(stored())
    assert response.status_code == 304
    assert response.headers["ETag"] == '"v1"'
    assert response.get_data() == b""
