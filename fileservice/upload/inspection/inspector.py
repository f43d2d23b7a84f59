"""Inspector: whether the bytes of a file are what its extension says.

Signatures are checked in the head of the file as soon as it has arrived, so that a wrong type is
refused early. Some types can only be recognised in the complete file: the directory of an OLE
document may be anywhere in it, and that of a zip archive is at its end. Text must be text from the
first byte to the last.
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
from fileservice.upload.inspection import archive, compound_file, text_signatures
from fileservice.upload.inspection.compound_file import BadCompoundFile
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.image_size import check_size
from fileservice.upload.inspection.passing import feed_in_pieces, passing_check
from fileservice.upload.inspection.text import NotText, TextScan

HEAD = 4096
"""How many bytes at the beginning of a file are checked while the others are still arriving."""
_OLE_SIGNATURE = bytes.fromhex("D0CF11E0A1B11AE1")
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_MAX_PARSED_JSON = 1 << 20
_MAX_PARSED_VALUES = 100_000
"""A JSON text of up to this many bytes, with up to so many values, is parsed. Of a longer one, only
the first and the last character are checked: other threads of Python wait for the parser."""
_TEXT_FAMILIES = (Family.TEXT, Family.JSON)
_BINARY_MEDIA_TYPES = frozenset(
    media_type
    for file_type in TABLE.values()
    if file_type.family not in _TEXT_FAMILIES
    for media_type in file_type.magic
)
_ONLY_SIGNATURES = magic.MAGIC_NO_CHECK_TEXT  # type: ignore[attr-defined]  # missing in its types
"""libmagic distinguishes kinds of text by regular expressions that it compiles again for each file.
That takes milliseconds, and the answer is not used."""
_NO_SIGNATURES = _ONLY_SIGNATURES | magic.MAGIC_NO_CHECK_SOFT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file was found to be; `charset` is None for anything but text, or if unknown."""

    media_type: str
    charset: str | None


class Inspector:
    """Inspects one file, which must be of the type that its extension stands for."""

    def __init__(self, file_type: FileType, policy: ContentPolicy) -> None:
        self._type = file_type
        self._policy = policy
        self._passing = passing_check(file_type, policy)
        self._head = bytearray()
        self._is_head_checked = False
        self._first = self._last = b""
        """The beginning and the end of a JSON text."""
        self._text = TextScan() if file_type.family in _TEXT_FAMILIES else None

    def feed(self, block: bytes | memoryview) -> None:
        """Inspect the next block.

        Raise UnacceptableContent as soon as that is certain.
        """
        if self._text:
            try:
                self._text.feed(block)
            except NotText as error:
                raise ContentMismatch(self._type, str(error)) from None
        if self._type.family is Family.JSON:
            self._first = self._first or bytes(block[:HEAD])
            self._last = (self._last + bytes(block[-HEAD:]))[-HEAD:]
        if not self._is_head_checked:
            self._head += block[: HEAD - len(self._head)]
            if len(self._head) >= HEAD:
                self._check_head()
        if self._passing:
            feed_in_pieces(self._passing, block)

    def feed_head(self, head: bytes) -> None:
        """Inspect the first HEAD bytes of a file, or all of a shorter one.

        The rest of the file cannot be inspected afterwards. Raises what `feed` does.
        """
        self.feed(head)
        if not self._is_head_checked:
            self._check_head()

    def conclude(self, staged: StagedFile, run_cpu: RunCpu) -> Verdict:
        """Return what the file is, all of whose bytes were fed.

        Raise UnacceptableContent.
        """
        if not self._is_head_checked:
            self._check_head()
        if self._passing:
            self._passing.conclude()
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
                detected = _identify_file(staged, run_cpu)
                self._require(detected in self._type.magic, detected)
                if self._policy.refuses(*compound_file.RISKS):
                    self._check_compound_file(staged)
            case Family.ZIP:
                detected = _identify_file(staged, run_cpu)
                archive.check(self._type, staged, detected, self._policy, run_cpu)
        return Verdict(self._type.media_type, charset)

    def _check_head(self) -> None:
        head = bytes(self._head)  # of a fixed size, so that the size of blocks does not matter
        self._is_head_checked = True
        self._head.clear()
        match self._type.family:
            case Family.SIGNATURE:
                detected = _identify(head, magic.MAGIC_NONE)
                self._require(detected in self._type.magic, detected)
                check_size(self._type, head, self._policy)
            case Family.OLE:
                if not head.startswith(_OLE_SIGNATURE):
                    raise ContentMismatch(self._type, _identify(head, magic.MAGIC_NONE))
            case Family.ZIP:
                if not head.startswith(_ZIP_SIGNATURES):
                    raise ContentMismatch(self._type, _identify(head, magic.MAGIC_NONE))
            case Family.TEXT | Family.JSON:
                # Without signatures, libmagic still recognises tar archives by their checksum.
                has_none = not text_signatures.may_have_signature(head)
                detected = _identify(head, _NO_SIGNATURES if has_none else _ONLY_SIGNATURES)
                self._require(detected not in _BINARY_MEDIA_TYPES, detected)

    def _check_compound_file(self, staged: StagedFile) -> None:
        try:
            compound_file.check(staged.read_at, staged.size, self._policy)
        except BadCompoundFile as error:
            raise ContentMismatch(self._type, str(error)) from None

    def _is_json(self, staged: StagedFile, run_cpu: RunCpu) -> bool:
        if staged.size <= _MAX_PARSED_JSON:
            text = staged.read_at(staged.size, 0)
            if sum(map(text.count, (b",", b"[", b"{"))) <= _MAX_PARSED_VALUES:
                return run_cpu(_parses, text)
        first = self._first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        last = self._last.rstrip()[-1:]
        return (first, last) in ((b"{", b"}"), (b"[", b"]"), (b'"', b'"'))

    def _require(self, condition: bool, detected: str) -> None:
        if not condition:
            raise ContentMismatch(self._type, detected)


_idle_magic: list[magic.Magic] = []


def _identify(head: bytes, flags: int) -> str:
    """Return the media type that libmagic detects; `flags` are its MAGIC_NO_CHECK_*."""
    libmagic = _acquire_magic(flags)
    detected: str = libmagic.from_buffer(head)
    _idle_magic.append(libmagic)
    return detected


def _identify_file(staged: StagedFile, run_cpu: RunCpu) -> str:
    """Return the media type that libmagic detects if it may read any part of the file."""
    with staged.descriptor() as descriptor:
        return run_cpu(_identify_descriptor, descriptor)


def _identify_descriptor(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    libmagic = _acquire_magic(magic.MAGIC_NONE)
    detected: str = libmagic.from_descriptor(descriptor)
    _idle_magic.append(libmagic)
    return detected


def _acquire_magic(flags: int) -> magic.Magic:
    # A cookie of libmagic can be used by one thread at a time. Popping from a list and appending
    # to it are atomic, so no lock is needed, and there are only as many as were used at once.
    try:
        libmagic = _idle_magic.pop()
    except IndexError:
        libmagic = magic.Magic(mime=True)
    magic.magic_setflags(libmagic.cookie, libmagic.flags | flags)
    return libmagic


def _parses(text: bytes) -> bool:
    try:
        json.loads(text, parse_constant=_reject_constant, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
