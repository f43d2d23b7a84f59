"""Send: the answer that carries a file, whole or by ranges."""

import io
import secrets
from collections.abc import Iterator
from typing import BinaryIO, cast

from flask import Response, send_file
from werkzeug.datastructures import Headers

from fileservice.filetypes import INLINE_MEDIA_TYPES
from fileservice.protocols.conditional import format_date
from fileservice.protocols.ranges import ByteRange, content_range
from fileservice.storage import Opened, StoredFile
from fileservice.web.representations import (
    content_disposition,
    content_type,
    etag,
    representation_headers,
)
from fileservice.web.security_headers import FILE_HEADERS

_BLOCK = 256 * 1024


def send(opened: Opened, ranges: tuple[ByteRange, ...], *, inline: bool) -> Response:
    """The answer with the file, or with `ranges` of it; it closes the file when it has been sent.

    200, 206 with one range, or 206 multipart/byteranges (RFC 9110 section 15.3.7).
    """
    file = opened.file
    match ranges:
        case ():
            opened.seek_range(0, file.size)
            return _response(opened, opened.body, file.size, inline)
        case (only,):
            part = cast(BinaryIO, Section(opened, only))
            response = _response(opened, part, only.length, inline)
            response.headers["Content-Range"] = content_range(only, file.size)
        case _:
            kind = SentParts if _has_descriptor(opened.body) else Parts
            parts = kind(opened, ranges)
            response = _response(opened, opened.body, parts.length, inline)
            response.response = parts
            response.content_type = f"multipart/byteranges; boundary={parts.boundary}"
    response.status_code = 206
    return response


def not_modified(file: StoredFile) -> Response:
    """304, with the fields that RFC 9110 section 15.4.5 wants of it."""
    return Response(status=304, headers={"ETag": etag(file), "Cache-Control": "no-cache"})


def representation_fields(file: StoredFile, inline: bool) -> dict[str, str]:
    """Content-Type and Content-Disposition; `inline` is what the client asks for."""
    shown = inline and file.content.media_type in INLINE_MEDIA_TYPES
    kind = "inline" if shown else "attachment"
    return {
        "Content-Type": content_type(file),
        "Content-Disposition": content_disposition(kind, file.name),
    }


def _response(opened: Opened, body: BinaryIO, length: int, inline: bool) -> Response:
    file = opened.file
    if _has_descriptor(opened.body):
        response = send_file(body, mimetype=file.content.media_type, conditional=False, etag=False)
    else:
        response = Response(Blocks(body, length), direct_passthrough=True)
    # All at once: this is the way of every small file, and each field set on its own costs 1 %.
    response.headers = Headers(
        [
            ("Content-Length", str(length)),
            *representation_fields(file, inline).items(),
            ("Last-Modified", format_date(file.modified)),
            ("Accept-Ranges", "bytes"),
            ("Cache-Control", "no-cache"),
            *representation_headers(file).items(),
            *FILE_HEADERS.items(),
        ]
    )
    return response


class Section(io.RawIOBase):
    """One range of a file, as a file that ends where the range does.

    Positions are those of the whole file, since its descriptor is what a server may send from.
    """

    def __init__(self, opened: Opened, part: ByteRange) -> None:
        self._body = opened.body
        self._end = part.last + 1
        opened.seek_range(part.first, self._end)

    def fileno(self) -> int:
        return self._body.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._body.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._body.read(min(len(buffer), self._end - self._body.tell()))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()


def _has_descriptor(body: BinaryIO) -> bool:
    try:
        body.fileno()
    except OSError:
        return False
    return True


def _blocks(body: BinaryIO, count: int) -> Iterator[bytes]:
    while count:
        block = body.read(min(count, _BLOCK))
        if not block:
            raise EOFError("the file is shorter than it was")
        count -= len(block)
        yield block


class Blocks:
    """A body as blocks, for what the kernel cannot send from."""

    def __init__(self, body: BinaryIO, length: int) -> None:
        self._body = body
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        return _blocks(self._body, self._length)

    def close(self) -> None:
        self._body.close()


class Parts:
    """The body of a multipart/byteranges answer (RFC 9110 section 14.6), made as it is sent."""

    def __init__(self, opened: Opened, ranges: tuple[ByteRange, ...]) -> None:
        self.boundary = secrets.token_hex(16)
        self._opened = opened
        self._body = opened.body
        self._parts = [(self._heading(opened.file, part), part) for part in ranges]
        self._end = f"\r\n--{self.boundary}--\r\n".encode()
        self.length = sum(len(heading) + part.length for heading, part in self._parts) + len(
            self._end
        )

    def __iter__(self) -> Iterator[bytes]:
        for heading, part in self._parts:
            yield heading
            self._opened.seek_range(part.first, part.last + 1)
            yield from _blocks(self._body, part.length)
        yield self._end

    def close(self) -> None:
        self._body.close()

    def _heading(self, file: StoredFile, part: ByteRange) -> bytes:
        return (
            f"\r\n--{self.boundary}\r\n"
            f"Content-Type: {content_type(file)}\r\n"
            f"Content-Range: {content_range(part, file.size)}\r\n\r\n"
        ).encode()


class SentParts(Parts):
    """The same, for servers that let the kernel send."""

    @property
    def segments(self) -> Iterator[bytes | tuple[int, int, int]]:
        """As bytes and (descriptor, offset, count)."""
        for heading, part in self._parts:
            yield heading
            yield self._body.fileno(), part.first, part.length
        yield self._end
