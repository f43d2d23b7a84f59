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
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FIRST_BLOCK = 16 * 1024
_LARGEST_BLOCK = 2 << 20
_FORM_PIECE = 256 * 1024
"""The parser of forms copies what it is given; that is cheap in pieces that fit a cache."""
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


def blocks(environ: "WSGIEnvironment", idle_timeout: float) -> Iterator[memoryview]:
    """The body as it arrives, to its declared end; each block stays as it is for two turns.

    Raises IncompleteBody when the client stops before, since servers give a body that was cut
    off as if that were its end, and TooSlow when the server has waited in vain for `idle_timeout`
    seconds.
    """
    length = declared_length(environ)
    fill, received = _filler(environ["wsgi.input"]), 0
    for buffer in buffers():
        view = memoryview(buffer)
        if length is not None:
            view = view[: length - received]
        try:
            count = fill(view) if view else 0
        except TimeoutError:
            raise TooSlow(idle_timeout) from None
        except Exception as error:  # each server has its own for a body that breaks off
            raise IncompleteBody(f"the body broke off after {received} bytes") from error
        received += count
        if count:
            yield view[:count]
        if count < len(view) or received == length:
            break
    if length is not None and received < length:
        raise IncompleteBody(f"the body ended after {received} of {length} bytes")


def buffers() -> Iterator[bytearray]:
    """Two buffers in turn, so that one can be filled while the other is worked on.

    They are small at first: a client that trickles then costs little memory, and one that streams
    soon costs few switches.
    """
    pair, size = [bytearray(), bytearray()], _FIRST_BLOCK
    while True:
        for turn in (0, 1):
            if len(pair[turn]) < size:
                pair[turn] = bytearray(size)
            yield pair[turn]
            size = min(4 * size, _LARGEST_BLOCK)


def gathered(pieces: Iterable[bytes]) -> Iterator[memoryview]:
    """The same bytes in blocks as large as those of `blocks`."""
    supply = buffers()
    buffer, filled = next(supply), 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            count = min(len(rest), len(buffer) - filled)
            buffer[filled : filled + count] = rest[:count]
            filled, rest = filled + count, rest[count:]
            if filled == len(buffer):
                yield memoryview(buffer)
                buffer, filled = next(supply), 0
    if filled:
        yield memoryview(buffer)[:filled]


def _filler(body: Any) -> Callable[[memoryview], int]:
    """How to fill a buffer from `wsgi.input`, which need not have readinto (PEP 3333)."""
    if hasattr(body, "readinto"):
        return cast(Callable[[memoryview], int], body.readinto)

    def fill(view: memoryview) -> int:
        data = body.read(len(view))
        view[: len(data)] = data
        return len(data)

    return fill


def form_file(
    content_type: str, body: Iterable[memoryview]
) -> tuple[str, Generator[bytes, None, None]]:
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
    boundary: str, body: Iterable[memoryview]
) -> Iterator[MultipartSegment | bytes | bytearray | None]:
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_FIELDS) as parser:
            for block in body:
                for begin in range(0, len(block), _FORM_PIECE):
                    yield from parser.parse(bytes(block[begin : begin + _FORM_PIECE]))
    except MultipartError as error:
        raise BadForm(f"the form does not parse: {error}") from error


def _count_other(others: int, data: bytes | bytearray) -> int:
    if others + len(data) > _OTHER_FIELDS:
        raise BadForm(f"the fields beside the file have more than {_OTHER_FIELDS} bytes")
    return others + len(data)


def _last_segment(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
