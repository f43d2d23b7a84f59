"""The one file in a multipart/form-data form (RFC 7578), cut out of the body's own blocks.

BodyError
├── BadForm     the body is not a multipart/form-data form
├── NoFile      the form carries no file in its field `file`
└── MultipleFiles the form carries more than one
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, cast

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from fileservice.protocols.chunked_uploaders import CHUNK_COUNTS, reject_chunk
from fileservice.protocols.errors import BadForm, MultipleFiles, NoFile, PartialUpload

_END_OF_HEAD = b"\r\n\r\n"
_AROUND = 64 * 1024
"""Bytes that a form may have before its file, and behind it, in fields and around them."""
_MOST_FIELDS = 64
_FOLLOWS = rb"(?:(?:--)?[ \t]{0,64}(\r\n)|(?:-|(?:--)?[ \t]{0,64}\r?)?\Z)"
"""What a boundary is followed by (RFC 2046 section 5.1.1), or the beginning of that."""
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"(?:\\.|[^\\"])*"|[^;"]*)')


def form_file(content_type: str, body: Iterable[memoryview]) -> tuple[str, Iterator[memoryview]]:
    """The name and the bytes of the one file in a form, straight from the body's blocks.

    The bytes end only after the whole form has been read and found right. Raises BadForm, NoFile
    and MultipleFiles, now or while the bytes are read.
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
    parser, fields, received, parsed = _parser(boundary), _Fields(), bytearray(), 0
    for block in body:
        look = max(parsed, len(received) - len(_END_OF_HEAD) + 1)
        received += block
        while (found := received.find(_END_OF_HEAD, look)) >= 0:
            # In pieces that end where the head of a part may, for the file to begin behind one.
            look = found + len(_END_OF_HEAD)
            part = _file_in(_events(parser, bytes(received[parsed:look])), fields)
            parsed = look
            if parsed > _AROUND:
                break
            if part:
                return part, bytes(received[parsed:])
        if len(received) > _AROUND:
            raise BadForm(f"more than {_AROUND} bytes come before the file in the form")
    _finish(parser, bytes(received[parsed:]))
    raise NoFile("the form has no file in its field `file`; choose one and send it again")


def _file_in(events: Iterable[Any], fields: "_Fields") -> MultipartSegment | None:
    part = None
    for event in events:
        fields.take(event)
        if not isinstance(event, MultipartSegment) or not event.filename:
            continue
        if event.name != "file":
            raise NoFile(f"the form has its file in the field {event.name!r}; it must be `file`")
        if event.header("Content-Range") is not None:
            raise PartialUpload
        part = event
    return part


class _Fields:
    """Looks at the fields of a form as the parser finds them, for those that concern the file."""

    def __init__(self) -> None:
        self._name = ""
        self._value = b""

    def take(self, event: MultipartSegment | bytes | None) -> None:
        """Look at the next event. Raises BadForm for a head of two minds, and ChunkedUpload."""
        if isinstance(event, MultipartSegment):
            _require_one_disposition(event)
            self._name, self._value = event.name or "", b""
        elif event and self._name in CHUNK_COUNTS:
            self._value += event
        elif event is None and self._value:
            reject_chunk({self._name: self._value.decode("latin-1")})


def _require_one_disposition(part: MultipartSegment) -> None:
    """Whose name it is must not depend on who reads it.

    A `filename*` is no second name: RFC 7578 section 4.2 wants none in forms, so `filename` counts.
    """
    values = [value for field, value in part.headerlist if field == "Content-Disposition"]
    names = [name.lower() for name in _PARAMETER.findall(values[0])]
    if len(values) > 1 or names.count("name") > 1 or names.count("filename") > 1:
        raise BadForm("a part of the form has more than one Content-Disposition, name or filename")


def _file_bytes(
    part: MultipartSegment, boundary: str, early: bytes, body: Iterator[memoryview]
) -> Iterator[memoryview]:
    # The parser would copy each block more than once: it gets to see what is around the file only.
    delimiter, size, held, ended = f"\r\n--{boundary}".encode(), 0, b"", False
    whole_delimiter = re.compile(re.escape(delimiter) + _FOLLOWS)
    for received in chain((memoryview(early),), body):
        block = memoryview(held + received) if held else received
        end = _find(delimiter, block)
        # Seldom needed and slower: what is no boundary after all belongs to the file.
        found = whole_delimiter.search(block.obj, end, len(block)) if end >= 0 else None
        end, ended = (found.start(), bool(found[1])) if found else (len(block), False)
        file_bytes = block[: end if found else end - _partial(delimiter, block)]
        held = bytes(block[len(file_bytes) :])
        size += len(file_bytes)
        yield file_bytes
        if ended:
            break
    yield memoryview(b"")  # the file's last bytes are done with before the buffers are reused
    declared = part.header("Content-Length")
    if declared is not None and declared != str(size):
        raise BadForm(f"the file's part has {size} bytes, and declares {declared}")
    _check_rest(_parser(boundary), _Fields(), chain((held.removeprefix(b"\r\n"),), body))


def _find(delimiter: bytes, block: memoryview) -> int:
    return cast(bytes | bytearray, block.obj).find(delimiter, 0, len(block))


def _partial(delimiter: bytes, block: memoryview) -> int:
    """How many bytes at the end of `block` may be the beginning of a delimiter."""
    tail = bytes(block[-len(delimiter) + 1 :])
    begin = tail.rfind(b"\r")
    return len(tail) - begin if begin >= 0 and delimiter.startswith(tail[begin:]) else 0


def _check_rest(
    parser: PushMultipartParser, fields: _Fields, rest: Iterable[bytes | memoryview]
) -> None:
    behind = 0
    for block in rest:
        for event in _events(parser, bytes(block[: _AROUND + 1])):
            fields.take(event)
            if isinstance(event, MultipartSegment) and event.filename:
                raise MultipleFiles
        behind += len(block)
        if behind > _AROUND:
            raise BadForm(f"more than {_AROUND} bytes come after the file in the form")
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
        if isinstance(error.__context__, UnicodeDecodeError):
            raise BadForm("the head of a part of the form must be UTF-8") from error
        raise BadForm(f"the form does not parse: {error}") from error


def _last_segment(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
