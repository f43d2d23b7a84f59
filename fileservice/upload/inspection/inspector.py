"""Inspection: whether the bytes are what the name's extension says.

Magic bytes are judged at the head, as soon as it is there, so that a wrong type stops early. Some
types show only in the finished file: the directory of an OLE document may lie anywhere, that of a
zip archive lies at its end. Text must be text from its first byte to its last.
"""

import json
import os
from dataclasses import dataclass

# isort: off
import pylibmagic  # noqa: F401  # first: it puts its libmagic where python-magic looks for one
import magic
# isort: on

from fileservice.executor import RunCpu
from fileservice.filetypes import TABLE, Family, FileType
from fileservice.storage import StagedFile
from fileservice.upload.errors import ContentMismatch
from fileservice.upload.inspection import archive
from fileservice.upload.inspection.text import NotText, TextScan

HEAD = 4096
"""Bytes at the beginning of a file by which its type is judged while the others still come."""
_SCANNED = 64 * 1024
"""Bytes of text that are copied to be scanned: so few that they stay in the processor's cache."""
_OLE_SIGNATURE = bytes.fromhex("D0CF11E0A1B11AE1")
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_PARSED_JSON = 1 << 20
"""A JSON text up to this size is parsed; of a longer one, its first and last character count."""
_BINARY_MAGIC = frozenset(
    name
    for row in TABLE.values()
    if row.family not in (Family.TEXT, Family.JSON)
    for name in row.magic
)
_TEXTUAL = (Family.TEXT, Family.JSON)
_ONLY_SIGNATURES = magic.MAGIC_NO_CHECK_TEXT  # type: ignore[attr-defined]  # its types forget it
"""What kind of text a text is, libmagic finds with regular expressions that it compiles anew for
each file: milliseconds for an answer that nobody asks for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the content is."""

    media_type: str
    charset: str | None


class Inspector:
    """Judges one file of the type that its name promises."""

    def __init__(self, file_type: FileType) -> None:
        self._type = file_type
        self._head = bytearray()
        self._judged = False
        self._first = self._last = b""
        """Of a long JSON text: its beginning and its end."""
        self._text = TextScan() if file_type.family in _TEXTUAL else None

    def feed(self, block: bytes | memoryview) -> None:
        """Look at the next block. Raises ContentMismatch as soon as it is certain."""
        if self._text:
            try:
                for start in range(0, len(block), _SCANNED):
                    self._text.feed(bytes(block[start : start + _SCANNED]))
            except NotText as error:
                raise ContentMismatch(self._type, str(error)) from None
        if self._type.family is Family.JSON:
            self._first = self._first or bytes(block[:HEAD])
            self._last = (self._last + bytes(block[-HEAD:]))[-HEAD:]
        if not self._judged:
            self._head += block
            if len(self._head) >= HEAD:
                self._judge_head()

    def judge_by(self, head: bytes) -> None:
        """Judge by the first bytes of a file, up to HEAD of them, what they can tell."""
        self.feed(head)
        if not self._judged:
            self._judge_head()

    def conclude(self, staged: StagedFile, run_cpu: RunCpu) -> Verdict:
        """Judge the whole file, all of whose bytes have been fed."""
        if not self._judged:
            self._judge_head()
        charset = None
        if self._text:
            try:
                charset = self._text.conclude()
            except NotText as error:
                raise ContentMismatch(self._type, str(error)) from None
        match self._type.family:
            case Family.JSON:
                self._require(charset == "utf-8", "not in UTF-8, as JSON must be")
                self._require(self._is_json(staged, run_cpu), "not a JSON text")
                charset = None  # RFC 8259 section 11: the media type has no such parameter
            case Family.OLE:
                found = _identify_file(staged, run_cpu)
                self._require(found in self._type.magic, found)
            case Family.ZIP:
                found = _identify_file(staged, run_cpu)
                self._require(archive.is_a(self._type, staged, found), found)
        return Verdict(self._type.media_type, charset)

    def _judge_head(self) -> None:
        head = bytes(self._head[:HEAD])  # no more, so that the verdict is the same for any blocks
        self._judged = True
        self._head.clear()
        found = _identify(head, _ONLY_SIGNATURES if self._text else magic.MAGIC_NONE)
        match self._type.family:
            case Family.SIGNATURE:
                self._require(found in self._type.magic, found)
            case Family.OLE:
                self._require(head.startswith(_OLE_SIGNATURE), found)
            case Family.ZIP:
                self._require(head.startswith(_ZIP_SIGNATURES), found)
            case Family.TEXT | Family.JSON:
                self._require(found not in _BINARY_MAGIC, found)

    def _is_json(self, staged: StagedFile, run_cpu: RunCpu) -> bool:
        if staged.size <= _PARSED_JSON:
            return run_cpu(_parses, staged.read_at(staged.size, 0))
        first = self._first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        last = self._last.rstrip()[-1:]
        return (first, last) in ((b"{", b"}"), (b"[", b"]"), (b'"', b'"'))

    def _require(self, holds: bool, found: str) -> None:
        if not holds:
            raise ContentMismatch(self._type, found)


_idle_magic: list[magic.Magic] = []


def _identify(head: bytes, flags: int) -> str:
    """What libmagic calls these bytes; `flags` are its MAGIC_NO_CHECK_*."""
    libmagic = _borrow(flags)
    found: str = libmagic.from_buffer(head)
    _idle_magic.append(libmagic)
    return found


def _identify_file(staged: StagedFile, run_cpu: RunCpu) -> str:
    """What libmagic calls the file, of which it may read any part."""
    with staged.descriptor() as descriptor:
        return run_cpu(_identify_descriptor, descriptor)


def _identify_descriptor(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    libmagic = _borrow(magic.MAGIC_NONE)
    found: str = libmagic.from_descriptor(descriptor)
    _idle_magic.append(libmagic)
    return found


def _borrow(flags: int) -> magic.Magic:
    # A cookie of libmagic serves one thread at a time. Taking from a list and appending to it
    # are atomic, so there are as many as were ever in use at once, and no lock.
    try:
        libmagic = _idle_magic.pop()
    except IndexError:
        libmagic = magic.Magic(mime=True)
    magic.magic_setflags(libmagic.cookie, libmagic.flags | flags)
    return libmagic


def _parses(text: bytes) -> bool:
    try:
        json.loads(text, parse_constant=_refuse_constant, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
