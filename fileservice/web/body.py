"""The body of a request, raw or a multipart form, as blocks of bytes.

BodyError
├── LengthRequired   the request does not say that it has a body, nor how it ends
├── IncompleteBody   the client stopped before the end
├── TooSlow          the client sent nothing for too long
├── WrongContentType the body is not declared as what it has to be
├── BadForm          the body is not a multipart/form-data form
├── NoFile           the form carries no file in its field `file`
└── OneFileOnly      the form carries more than one
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FIRST_BLOCK = 16 * 1024
_LARGEST_BLOCK = 2 << 20
_SLOW_SECONDS = 0.5
"""A block is given on after so long, full or not: what has arrived is kept, and seen."""
_END_OF_HEAD = b"\r\n\r\n"
_OTHER_FIELDS = 64 * 1024
"""Bytes that a form may have before its file, and in all the fields after it."""
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


class WrongContentType(BodyError):
    def __init__(self, expected: str) -> None:
        super().__init__(f"bytes of an upload are sent with Content-Type: {expected}")
        self.expected = expected


def require_content_type(environ: "WSGIEnvironment", expected: str) -> None:
    """Raise WrongContentType for a body that is not declared to be of this type."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != expected:
        raise WrongContentType(expected)


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

    Each is the beginning of its buffer (`block.obj`), where bytes can be searched for. A body that
    trickles comes in small blocks, about two a second.

    Raises IncompleteBody when the client stops before, since servers give a body that was cut
    off as if that were its end, and TooSlow when the server has waited in vain for `idle_timeout`
    seconds; all that was received before comes before that.
    """
    length = declared_length(environ)
    stream = environ["wsgi.input"]
    fill, arrives, received = _filler(stream), _arrives(stream), 0
    # Small at first: a client that trickles costs little memory, one that streams few switches.
    pair, turn, size = [bytearray(), bytearray()], 0, _FIRST_BLOCK
    while length is None or received < length:
        if len(pair[turn]) < size:
            pair[turn] = bytearray(size)
        view = memoryview(pair[turn])
        if length is not None:
            view = view[: length - received]
        filled, ended, failure = _gather(fill, arrives, view, idle_timeout)
        received += filled
        if filled:
            yield view[:filled]
        if failure:
            raise failure
        if ended:
            break
        if filled == len(pair[turn]):
            size = min(4 * size, _LARGEST_BLOCK)
        turn = 1 - turn
    if length is not None and received < length:
        raise IncompleteBody(f"the body ended after {received} of {length} bytes")


def _gather(
    fill: Callable[[memoryview], int],
    arrives: Callable[[float], bool],
    view: memoryview,
    idle_timeout: float,
) -> tuple[int, bool, BodyError | None]:
    """Fill `view`, for half a second at most if it comes slowly.

    How many bytes it has, whether the body ended with them, and what broke it off.
    """
    filled, until = 0, time.monotonic() + _SLOW_SECONDS
    while filled < len(view):
        try:
            count = fill(view[filled:])
        except TimeoutError:
            return filled, False, TooSlow(idle_timeout)
        except Exception as error:  # noqa: BLE001  # each server has its own for a broken body
            failure = IncompleteBody("the body broke off before its end")
            failure.__cause__ = error
            return filled, False, failure
        if not count:
            return filled, True, None
        filled += count
        left = until - time.monotonic()
        if left <= 0 or (filled < len(view) and not arrives(left)):
            break
    return filled, False, None


def _arrives(body: Any) -> Callable[[float], bool]:
    """How to learn whether more comes within so many seconds; our own server tells."""
    raw = getattr(body, "raw", None)
    return getattr(raw, "arrives", lambda seconds: True)  # noqa: ARG005


def _filler(body: Any) -> Callable[[memoryview], int]:
    """How to fill a buffer from `wsgi.input`, which need not have readinto1 (PEP 3333)."""
    if hasattr(body, "readinto1"):
        return cast(Callable[[memoryview], int], body.readinto1)

    def fill(view: memoryview) -> int:
        data = body.read(len(view))
        view[: len(data)] = data
        return len(data)

    return fill


def form_file(content_type: str, body: Iterable[memoryview]) -> tuple[str, Iterator[memoryview]]:
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
    boundary, blocks = options["boundary"], iter(body)
    part, early = _file_part(boundary, blocks)
    return _last_segment(part.filename), _file_bytes(part, boundary, early, blocks)


def _file_part(boundary: str, body: Iterator[memoryview]) -> tuple[MultipartSegment, bytes]:
    """The head of the part that is the file, and what has already come of what follows it."""
    parser, received, parsed = _parser(boundary), bytearray(), 0
    for block in body:
        look = max(parsed, len(received) - len(_END_OF_HEAD) + 1)
        received += block
        while (found := received.find(_END_OF_HEAD, look)) >= 0:
            # In pieces that end where the head of a part may, for the file to begin behind one.
            look = found + len(_END_OF_HEAD)
            part = _file_in(_events(parser, bytes(received[parsed:look])))
            parsed = look
            if part:
                return part, bytes(received[parsed:])
        if len(received) > _OTHER_FIELDS:
            raise BadForm(f"more than {_OTHER_FIELDS} bytes come before the file in the form")
    _finish(parser, bytes(received[parsed:]))
    raise NoFile("the form has no file in its field `file`; choose one and send it again")


def _file_in(events: Iterable[Any]) -> MultipartSegment | None:
    part = None
    for event in events:
        if not isinstance(event, MultipartSegment) or not event.filename:
            continue
        if event.name != "file":
            raise NoFile(f"the form has its file in the field {event.name!r}; it must be `file`")
        part = event
    return part


def _file_bytes(
    part: MultipartSegment, boundary: str, early: bytes, body: Iterator[memoryview]
) -> Iterator[memoryview]:
    # The parser would copy each block more than once: it gets to see what is around the file only.
    delimiter, size, held = f"\r\n--{boundary}".encode(), 0, b""
    for received in chain((memoryview(early),), body):
        block = memoryview(held + received) if held else received
        end = _find(delimiter, block)
        file_bytes = block[: len(block) - _partial(delimiter, block) if end < 0 else end]
        held = bytes(block[len(file_bytes) :])
        size += len(file_bytes)
        yield file_bytes
        if end >= 0:
            break
    declared = part.header("Content-Length")
    if declared is not None and declared != str(size):
        raise BadForm(f"the file's part has {size} bytes, and declares {declared}")
    _check_rest(_parser(boundary), chain((held.removeprefix(b"\r\n"),), body))


def _find(delimiter: bytes, block: memoryview) -> int:
    return cast(bytes | bytearray, block.obj).find(delimiter, 0, len(block))


def _partial(delimiter: bytes, block: memoryview) -> int:
    """How many bytes at the end of `block` may be the beginning of a delimiter."""
    tail = bytes(block[-len(delimiter) + 1 :])
    begin = tail.rfind(b"\r")
    return len(tail) - begin if begin >= 0 and delimiter.startswith(tail[begin:]) else 0


def _check_rest(parser: PushMultipartParser, rest: Iterable[bytes | memoryview]) -> None:
    others = 0
    for block in rest:
        for event in _events(parser, bytes(block)):
            if isinstance(event, MultipartSegment):
                if event.filename:
                    raise OneFileOnly
            elif event:
                others += len(event)
        if others > _OTHER_FIELDS:
            raise BadForm(f"the fields after the file have more than {_OTHER_FIELDS} bytes")
    _finish(parser)


def _parser(boundary: str) -> PushMultipartParser:
    with _form_errors():
        return PushMultipartParser(boundary, max_segment_count=_MOST_FIELDS)


def _events(parser: PushMultipartParser, data: bytes) -> list[Any]:
    with _form_errors():
        return list(parser.parse(data)) if data else []


def _finish(parser: PushMultipartParser, data: bytes = b"") -> None:
    _events(parser, data)
    with _form_errors():
        parser.close()


@contextmanager
def _form_errors() -> Iterator[None]:
    try:
        yield
    except MultipartError as error:
        raise BadForm(f"the form does not parse: {error}") from error


def _last_segment(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
