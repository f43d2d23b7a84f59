"""The body of a request, raw or a multipart form, as blocks of bytes.

BodyError
├── LengthRequired   the request does not say that it has a body, nor how it ends
├── IncompleteBody   the client stopped before the end
├── TooSlow          the client sent nothing for too long
├── BadForm          the body is not a multipart/form-data form
├── NoFile           the form carries no file in its field `file`
└── OneFileOnly      the form carries more than one
"""

import re
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FIRST_BLOCK = 16 * 1024
_LARGEST_BLOCK = 1 << 20
"""Blocks grow from the one size to the other, so that a client that trickles costs little memory
and one that streams few switches."""
_OTHER_FIELDS = 64 * 1024
"""Bytes that all fields of a form beside the file may have together."""
_MOST_FIELDS = 64


class BodyError(Exception):
    """The body cannot be used."""


class LengthRequired(BodyError):
    def __init__(self) -> None:
        super().__init__(
            "the request has no body: send Content-Length (0 for an empty file) or a chunked body"
        )


class IncompleteBody(BodyError):
    """The client stopped before the end of the body."""


class TooSlow(BodyError):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing arrived for {seconds:g} seconds; nothing is stored, try again")


class BadForm(BodyError):
    """The form does not parse."""


class NoFile(BodyError):
    """There is no file in the form."""


class OneFileOnly(BodyError):
    def __init__(self) -> None:
        super().__init__("the form has more than one file; send each in a request of its own")


def declared_length(environ: "WSGIEnvironment") -> int | None:
    """The length of the body in bytes, None if it is chunked; raises LengthRequired."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        return int(length)
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    raise LengthRequired


def blocks(environ: "WSGIEnvironment", idle_timeout: float) -> Iterator[bytes]:
    """The body as it arrives, to its declared end.

    Raises IncompleteBody when the client stops before, since servers give a body that was cut
    off as if that were its end, and TooSlow when the server has waited in vain for `idle_timeout`
    seconds.
    """
    length = declared_length(environ)
    received, size = 0, _FIRST_BLOCK
    while length is None or received < length:
        try:
            block = environ["wsgi.input"].read(
                size if length is None else min(size, length - received)
            )
        except TimeoutError:
            raise TooSlow(idle_timeout) from None
        except Exception as error:  # each server has its own for a body that breaks off
            raise IncompleteBody(f"the body broke off after {received} bytes") from error
        if not block:
            break
        received += len(block)
        size = min(2 * size, _LARGEST_BLOCK)
        yield block
    if length is not None and received < length:
        raise IncompleteBody(f"the body ended after {received} of {length} bytes")


def form_file(content_type: str, body: Iterator[bytes]) -> tuple[str, Generator[bytes, None, None]]:
    """The name and the bytes of the one file in a form, straight from the body's blocks.

    The bytes end only after the whole form has been read and found right. Raises BadForm, NoFile
    and OneFileOnly, now or while the bytes are read.
    """
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise BadForm(
            "the body must be multipart/form-data with the file in its field `file`;"
            " to send the bytes as they are, name the file in the URL: PUT /upload/<name>"
        )
    events = _events(options["boundary"], body)
    others = 0
    for event in events:
        if isinstance(event, bytes | bytearray):
            others = _count_other(others, event)
        elif event and event.name == "file" and event.filename:
            return _last_segment(event.filename), _file_bytes(events)
        elif event and event.filename:
            raise NoFile(f"the form has its file in the field {event.name!r}; it must be `file`")
    raise NoFile("the form has no file in its field `file`; choose one and send it again")


def _file_bytes(
    events: Iterator[MultipartSegment | bytes | bytearray | None],
) -> Generator[bytes, None, None]:
    for event in events:
        if event is None:
            break
        assert not isinstance(event, MultipartSegment)
        yield bytes(event)
    others = 0
    for event in events:
        if isinstance(event, bytes | bytearray):
            others = _count_other(others, event)
        elif event and event.filename:
            raise OneFileOnly


def _events(
    boundary: str, body: Iterator[bytes]
) -> Iterator[MultipartSegment | bytes | bytearray | None]:
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_FIELDS) as parser:
            for block in body:
                yield from parser.parse(block)
    except MultipartError as error:
        raise BadForm(f"the form does not parse: {error}") from error


def _count_other(others: int, data: bytes | bytearray) -> int:
    if others + len(data) > _OTHER_FIELDS:
        raise BadForm(f"the fields beside the file have more than {_OTHER_FIELDS} bytes")
    return others + len(data)


def _last_segment(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
