"""The one file in a multipart/form-data form (RFC 7578), as slices of the blocks of the body.

`multipart.PushMultipartParser` parses what comes before the file and after it. It would copy the
bytes of the file more than once, so the end of the file is searched for here, and its bytes are not
copied.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import stringzilla
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from fileservice.protocols.chunked_uploaders import CHUNK_COUNTS, reject_chunk
from fileservice.protocols.errors import BadForm, MultipleFiles, NoFile, PartialUpload

FIELDS_OF_FILE = frozenset({"expires"})
"""The fields of a form that are about its file, and so must come before it."""
_END_OF_HEADERS = b"\r\n\r\n"
_MAX_BYTES_AROUND_FILE = 64 * 1024
"""The bytes that a form may have before its file, and the same number after it."""
_MAX_PARTS = 64
_NOTHING = memoryview(b"")
_AFTER_DELIMITER = rb"(?:(?:--)?[ \t]{0,64}(\r\n)|(?:-|(?:--)?[ \t]{0,64}\r?)?\Z)"
"""What follows a delimiter (RFC 2046 section 5.1.1), or its beginning at the end of a block."""
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"(?:\\.|[^\\"])*"|[^;"]*)')


class FormFile(NamedTuple):
    """The one file in a form."""

    filename: str
    blocks: Iterator[memoryview]
    """The bytes of the file."""
    fields: Mapping[str, str]
    """The fields before the file that are about it, of those in FIELDS_OF_FILE."""


def form_file(content_type: str, body: Iterable[memoryview]) -> FormFile:
    """Return the file in a form.

    The bytes of the file are slices of the blocks that `body` yields, and stay unchanged for as
    long. They end only when the whole form has been read and found valid. Empty blocks are passed
    on, once the file has begun. Raises BadForm, NoFile, MultipleFiles, PartialUpload and
    ChunkedUpload, now or while the bytes are read.
    """
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data" or not options.get("boundary"):
        raise BadForm(
            "the body must be multipart/form-data with the file in its field `file`;"
            " to send the bytes as they are, name the file in the URL: PUT /upload/<name>"
        )
    boundary, blocks = options["boundary"], iter(body)
    fields = _Fields()
    part, rest = _read_to_file(boundary, blocks, fields)
    file_bytes = _file_bytes(part, boundary, rest, blocks)
    return FormFile(_last_segment(part.filename), file_bytes, fields.of_file)


def _read_to_file(
    boundary: str, body: Iterator[memoryview], fields: "_Fields"
) -> tuple[MultipartSegment, bytes]:
    """Read up to the file; return its part, and the bytes after the part's headers read so far."""
    parser, received, parsed = _parser(boundary), bytearray(), 0
    for block in body:
        start = max(parsed, len(received) - len(_END_OF_HEADERS) + 1)
        received += block
        while (position := received.find(_END_OF_HEADERS, start)) >= 0:
            # The parser must not consume bytes of the file, so each slice that it is given ends
            # where the headers of a part may end.
            start = position + len(_END_OF_HEADERS)
            part = _find_file(_parse(parser, bytes(received[parsed:start])), fields)
            parsed = start
            if parsed > _MAX_BYTES_AROUND_FILE:
                break
            if part:
                return part, bytes(received[parsed:])
        if len(received) > _MAX_BYTES_AROUND_FILE:
            raise BadForm(f"the form has more than {_MAX_BYTES_AROUND_FILE} bytes before the file")
    _finish(parser, bytes(received[parsed:]))
    raise NoFile("the form has no file in its field `file`; choose one and send the form again")


def _find_file(events: Iterable[Any], fields: "_Fields") -> MultipartSegment | None:
    part = None
    for event in events:
        fields.handle(event)
        if not isinstance(event, MultipartSegment) or not event.filename:
            continue
        if event.name != "file":
            raise NoFile(f"the form has a file in its field {event.name!r}; it must be in `file`")
        if event.header("Content-Range") is not None:
            raise PartialUpload
        part = event
    return part


class _Fields:
    """Receives the parser's events: keeps the fields about the file, and rejects others.

    Those that say that the file is a chunk are rejected, and those about it that follow it.
    """

    def __init__(self, *, after_file: bool = False) -> None:
        self.of_file: dict[str, str] = {}
        self._after_file = after_file
        self._name = ""
        self._value = b""

    def handle(self, event: MultipartSegment | bytes | None) -> None:
        """Handle a part, bytes of its value, or its end (None). Raises BadForm, ChunkedUpload."""
        if isinstance(event, MultipartSegment):
            _require_one_disposition(event)
            self._name, self._value = event.name or "", b""
        elif event and (self._name in CHUNK_COUNTS or self._name in FIELDS_OF_FILE):
            self._value += event
        elif event is None and self._value:
            self._handle_value(self._value.decode("latin-1"))

    def _handle_value(self, value: str) -> None:
        reject_chunk({self._name: value})
        if self._name not in FIELDS_OF_FILE:
            return
        if self._after_file:
            raise BadForm(f"the field `{self._name}` must come before the file in the form")
        if self._name in self.of_file:
            raise BadForm(f"the form has the field `{self._name}` more than once")
        self.of_file[self._name] = value


def _require_one_disposition(part: MultipartSegment) -> None:
    """Raise BadForm if parsers could disagree about the name of the field or of the file.

    A `filename*` does not count: RFC 7578 section 4.2 forbids it in forms, and it is ignored.
    """
    values = [value for field, value in part.headerlist if field == "Content-Disposition"]
    names = [name.lower() for name in _PARAMETER.findall(values[0])]
    if len(values) > 1 or names.count("name") > 1 or names.count("filename") > 1:
        raise BadForm("a part of the form has more than one Content-Disposition, name or filename")


def _file_bytes(
    part: MultipartSegment, boundary: str, rest: bytes, body: Iterator[memoryview]
) -> Iterator[memoryview]:
    delimiter, size, held_back, ended = f"\r\n--{boundary}".encode(), 0, b"", False
    whole_delimiter = re.compile(re.escape(delimiter) + _AFTER_DELIMITER)
    for received in chain((memoryview(rest),), body):
        block = memoryview(held_back + received) if held_back else received
        end = stringzilla.find(block, delimiter)
        # The regular expression is slower, and seldom needed: what looks like a delimiter but is
        # followed by something else belongs to the file.
        match = whole_delimiter.search(block, end) if end >= 0 else None
        end, ended = (match.start(), bool(match[1])) if match else (len(block), False)
        file_bytes = block[: end if match else end - _partial_delimiter(delimiter, block)]
        held_back = bytes(block[len(file_bytes) :])
        size += len(file_bytes)
        yield file_bytes
        if ended:
            break
    # The consumer is done with a block only when it requests the next one, and the buffer of the
    # file's last bytes is about to be reused.
    yield _NOTHING
    declared = part.header("Content-Length")
    if declared is not None and declared != str(size):
        raise BadForm(f"the part with the file has {size} bytes, but declares {declared}")
    yield from _check_rest(boundary, chain((held_back,), body))


def _partial_delimiter(delimiter: bytes, block: memoryview) -> int:
    """Return how many bytes at the end of `block` may be the beginning of a delimiter."""
    tail = bytes(block[-len(delimiter) + 1 :])
    start = tail.rfind(b"\r")
    return len(tail) - start if start >= 0 and delimiter.startswith(tail[start:]) else 0


def _check_rest(boundary: str, rest: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """Read what follows the file; raise an error if it is malformed or has another file.

    Yield an empty block for each block.
    """
    parser, fields, size = _parser(boundary), _Fields(after_file=True), 0
    for block in rest:
        for event in _parse(parser, bytes(block[: _MAX_BYTES_AROUND_FILE + 1])):
            fields.handle(event)
            if isinstance(event, MultipartSegment) and event.filename:
                raise MultipleFiles
        size += len(block)
        if size > _MAX_BYTES_AROUND_FILE:
            raise BadForm(f"the form has more than {_MAX_BYTES_AROUND_FILE} bytes after the file")
        yield _NOTHING
    _finish(parser)


def _parser(boundary: str) -> PushMultipartParser:
    with _translate_errors():
        return PushMultipartParser(boundary, max_segment_count=_MAX_PARTS)


def _parse(parser: PushMultipartParser, data: bytes) -> list[Any]:
    with _translate_errors():
        return list(parser.parse(data)) if data else []


def _finish(parser: PushMultipartParser, data: bytes = b"") -> None:
    _parse(parser, data)
    with _translate_errors():
        parser.close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except MultipartError as error:
        if isinstance(error.__context__, UnicodeDecodeError):
            raise BadForm("the headers of a part of the form must be UTF-8") from error
        raise BadForm(f"the form is malformed: {error}") from error


def _last_segment(path: str) -> str:
    """Return the name without the directories that some clients send (RFC 7578 section 4.2)."""
    return re.split(r"[/\\]", path)[-1]
