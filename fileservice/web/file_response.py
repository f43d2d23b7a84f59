"""Responses that carry a stored file, whole or by ranges."""

import secrets
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, cast

from werkzeug.utils import send_file
from werkzeug.wrappers import Response

from fileservice.filetypes import INLINE_MEDIA_TYPES
from fileservice.protocols.conditional import format_date
from fileservice.protocols.digests import repr_digest
from fileservice.protocols.ranges import ByteRange, content_range
from fileservice.request_record import record_of
from fileservice.storage import Opened, StoredFile
from fileservice.web.audit import audit_files
from fileservice.web.representations import (
    CompleteResponse,
    content_disposition,
    content_type,
    etag,
    sunset,
)
from fileservice.web.security_headers import FILE_HEADERS
from fileservice.wsgi_extensions import FileRegion, FileRegions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FILE_HEADERS = tuple(FILE_HEADERS.items())


def send(
    environ: "WSGIEnvironment",
    opened: Opened,
    ranges: tuple[ByteRange, ...],
    *,
    inline: bool,
    on_close: Callable[[int, bool], object] | None = None,
) -> Response:
    """Return the response with the file, or with `ranges` of it; closing it closes the file.

    `on_close` is called then, with how many bytes were sent, and whether all of them were.

    200, 206 with one range, or 206 multipart/byteranges (RFC 9110 section 15.3.7). The conditions
    of the request must have been evaluated: Werkzeug's own evaluation deviates from RFC 9110.
    """
    file = opened.file
    fields = representation_fields(file, inline)
    pieces: list[bytes | FileRegion] = [FileRegion(0, file.size)]
    if len(ranges) == 1:
        pieces = [FileRegion(ranges[0].first, ranges[0].length)]
        fields["Content-Range"] = content_range(ranges[0], file.size)
    elif ranges:
        boundary = secrets.token_hex(16)
        pieces = _byteranges(file, ranges, boundary)
        fields["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    if environ["REQUEST_METHOD"] == "GET":
        record_of(environ).transfer = "download"
        audit_files(environ, "read", file)
    body = FileRegions(opened.body, pieces, opened.seek_range, on_close)
    digest = repr_digest(file.content.sha256)
    response = send_file(
        cast("IO[bytes]", body),
        environ,
        mimetype=file.content.media_type,
        conditional=False,
        etag=False,
        response_class=CompleteResponse,
    )
    if ranges:
        response.status_code = 206
    # All at once, in place of what send_file has set: it would set and format some of them more
    # slowly, and every small file takes this path. It names a charset for every text; ours may be
    # another, or unknown.
    response.headers[:] = [
        *fields.items(),
        ("Content-Length", str(body.size)),
        ("ETag", etag(file)),
        ("Last-Modified", format_date(file.modified)),
        ("Cache-Control", "no-cache"),
        ("Accept-Ranges", "bytes"),
        *([("Repr-Digest", digest)] if digest else ()),
        *sunset(file).items(),
        *_FILE_HEADERS,
    ]
    return response


def not_modified(file: StoredFile) -> Response:
    """Return a 304 with the fields that RFC 9110 section 15.4.5 requires.

    Those for browsers replace what a cache has kept of them, from an earlier version of the
    service perhaps.
    """
    fields = FILE_HEADERS | {"ETag": etag(file), "Cache-Control": "no-cache"}
    response = CompleteResponse(status=304, headers=fields)
    del response.headers["Content-Type"]  # Werkzeug's default, which is not that of the file
    return response


def representation_fields(file: StoredFile, inline: bool) -> dict[str, str]:
    """Return Content-Type and Content-Disposition; `inline` is what the client asks for."""
    shown = inline and file.content.media_type in INLINE_MEDIA_TYPES
    kind = "inline" if shown else "attachment"
    return {
        "Content-Type": content_type(file),
        "Content-Disposition": content_disposition(kind, file.name),
    }


def _byteranges(
    file: StoredFile, ranges: tuple[ByteRange, ...], boundary: str
) -> list[bytes | FileRegion]:
    """Return the body of a multipart/byteranges response (RFC 9110 section 14.6)."""
    pieces: list[bytes | FileRegion] = []
    for part in ranges:
        heading = (
            f"\r\n--{boundary}\r\n"
            f"Content-Type: {content_type(file)}\r\n"
            f"Content-Range: {content_range(part, file.size)}\r\n\r\n"
        )
        pieces += [heading.encode(), FileRegion(part.first, part.length)]
    return [*pieces, f"\r\n--{boundary}--\r\n".encode()]
