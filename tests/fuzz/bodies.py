"""Targets: bodies of requests, and files."""

import contextlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import h11
from multipart import MultipartSegment, PushMultipartParser

from fileservice.access import AccessFileError, InvalidTerms, LinkTerms, Scope, parse_rules
from fileservice.content_risks import ContentRisk
from fileservice.filetypes import TABLE
from fileservice.names import BadName, FileName
from fileservice.protocols.errors import BodyError
from fileservice.protocols.forms import FIELDS_OF_FILE, form_file
from fileservice.serving.body import TruncatedBody
from fileservice.serving.chunks import InvalidChunk
from fileservice.upload import ContentPolicy
from fileservice.upload.errors import UnacceptableContent
from fileservice.upload.inspection import archive
from fileservice.upload.inspection import compound_file as ole_directory
from fileservice.upload.inspection.compound_file import BadCompoundFile
from fileservice.web.json_body import read_json
from fileservice.web.small_form import read_small_form
from tests.support.arriving import Parts, body_of, read

_BOUNDARY = "X"
_NOW = 1_700_000_000.0
_ENOUGH_SECONDS = 30.0
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error)
"""What zipfile raises for an archive that it cannot read."""
_STRICT = ContentPolicy(
    max_members=6, max_unpacked=1 << 20, max_pixels=1, refused=frozenset(ContentRisk)
)


def form(data: bytes) -> None:
    """The file is the one that the parser of the package `multipart` finds in the whole form.

    The first two bytes say into which blocks the form is divided.
    """
    sizes, body = [byte + 1 for byte in data[:2].ljust(2, b"\0")], data[2:]
    try:
        found = form_file(f"multipart/form-data; boundary={_BOUNDARY}", _divided(body, sizes))
        content = b"".join(bytes(block) for block in found.blocks)
    except BodyError as error:
        assert str(error)
        return
    assert found.fields.keys() <= FIELDS_OF_FILE
    assert not set(found.filename) & set("/\\")
    if f"--{_BOUNDARY}".encode() not in content:  # what only resembles a delimiter is ours to read
        assert content == _file_in(body)


def _divided(body: bytes, sizes: list[int]) -> Iterator[memoryview]:
    position = 0
    while position < len(body):
        size = sizes[0]
        sizes.reverse()
        yield memoryview(body[position : position + size])
        position += size


def _file_in(body: bytes) -> bytes | None:
    """Return the bytes of the one file in a form, by a parser that is given all of it at once."""
    files: list[bytes] = []
    is_file = False
    with contextlib.closing(PushMultipartParser(_BOUNDARY)) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                is_file = bool(event.filename)
                files += [b""] if is_file else []
            elif event and is_file:
                files[-1] += event
    assert len(files) == 1
    return files[0]


def small_form(data: bytes) -> None:
    """The fields of a small form are few and short."""
    with contextlib.suppress(BodyError):
        fields = read_small_form(
            _request(data, "application/x-www-form-urlencoded"), _ENOUGH_SECONDS
        )
        assert len(fields) <= 10
        assert sum(map(len, fields.values())) <= 8 << 10


def _request(data: bytes, content_type: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": io.BytesIO(data),
    }


def chunks(data: bytes) -> None:
    """The data is that which h11 reads, and what follows is left. Trailers are gunicorn's to parse.

    The first byte says how large the buffer of the reader is, the second in which parts the bytes
    arrive.
    """
    size, length, sent = data[:1], data[1:2], data[2:]
    cut = (length or b"\xff")[0] + 1
    parts = [sent[start : start + cut] for start in range(0, len(sent), cut)]
    trailers: list[bytes] = []
    body, source = body_of(Parts(parts), trailers.append)
    try:
        found = read(body, (size or b"\xff")[0] + 1)
    except (InvalidChunk, TruncatedBody):
        return
    assert body.at_end
    rest = source.take_buffered() + b"".join(parts)
    assert sent.endswith(rest)
    framed = sent[: len(sent) - len(rest)]
    for section in trailers:
        framed = framed.removesuffix(section + b"\r\n\r\n") + b"\r\n"
    if not re.search(rb"[ \t];", framed):  # h11 takes no space there, which RFC 9112 allows
        assert found == _data_by_h11(framed)


def _data_by_h11(framed: bytes) -> bytes:
    """Return the data of a body in chunks that has nothing after it. Trailers are left out."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert isinstance(connection.next_event(), h11.Request)
    connection.receive_data(framed)
    data = b""
    while isinstance(event := connection.next_event(), h11.Data):
        data += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
    return data


def link_terms(data: bytes) -> None:
    """What a link is to allow is bounded, and what is wrong with it can be said in UTF-8."""
    try:
        terms = LinkTerms.parse(
            read_json(_request(data, "application/json"), _ENOUGH_SECONDS), _NOW
        )
    except (BodyError, InvalidTerms, BadName) as error:
        assert str(error).encode()
        return
    assert (terms.name is None) != (terms.upload is None)
    assert terms.name is None or FileName.parse(terms.name) == terms.name
    assert terms.expires is None or _NOW < terms.expires < _NOW + 367 * 86400
    assert terms.uses is None or 1 <= terms.uses <= 1000
    assert len(terms.note) <= 200
    assert terms.note.encode() is not None
    assert json.loads(json.dumps([terms.note, terms.password])) == [terms.note, terms.password]


def access_file(data: bytes) -> None:
    """Rules have only what their grammar allows, and what is wrong with them can be logged."""
    try:
        rules = parse_rules(data.decode())
    except UnicodeDecodeError:
        return
    except AccessFileError as error:
        assert error.problems
        assert all(problem.encode() for problem in error.problems)
        return
    for token in rules.tokens.values():
        assert token.digest is not None
        assert len(token.digest) == 32
    for grant in (*rules.tokens.values(), *rules.users.values(), *rules.groups.values()):
        assert grant.scopes <= set(Scope)


class _CountedFile:
    """A staged file that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.bytes_read = 0
        self.reads = 0

    def read_at(self, count: int, offset: int) -> bytes:
        assert count >= 0
        assert offset >= 0
        found = self._data[offset : offset + count]
        self.bytes_read += len(found)
        self.reads += 1
        return found

    @contextlib.contextmanager
    def descriptor(self) -> Iterator[int]:
        raise AssertionError("the bytes are not asked for")
        yield


def zip_directory(data: bytes) -> None:
    """What is accepted has for Python's zipfile, if it can read it, what it was accepted for."""
    for extension in ("zip", "odt", "docx"):
        staged = _CountedFile(data)
        try:
            archive.check(TABLE[extension], staged, "application/zip", _STRICT, call_directly)
        except UnacceptableContent as error:
            assert str(error)
        else:
            with contextlib.suppress(*_UNREADABLE):
                _require_accepted(data, extension)
        assert staged.bytes_read <= 6 * len(data)


def call_directly(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
    return function(*arguments, **keywords)


def _require_accepted(data: bytes, extension: str) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as read_by_python:
        members = read_by_python.infolist()
    names = [member.orig_filename for member in members]
    assert len(set(names)) == len(names) <= _STRICT.max_members
    assert sum(member.file_size for member in members) <= _STRICT.max_unpacked
    assert not any(name.startswith("/") or ".." in name.split("/") for name in names)
    if extension == "docx":
        assert "[Content_Types].xml" in names
        assert any(name.startswith("word/") for name in names)


def compound_file(data: bytes) -> None:
    """No more is read than a file of this size can need, however its tables refer to each other."""
    staged = _CountedFile(data)
    try:
        ole_directory.check(staged.read_at, staged.size, _STRICT)
    except (BadCompoundFile, UnacceptableContent) as error:
        assert str(error)
    sectors = len(data) // 512
    assert staged.reads <= 1 + 3 * (sectors + 2)  # itself, and the tables that lead to it
