"""ArchiveScan: whether a zip archive is consistent, within the limits, and without refused risks.

Its directory passes once, in pieces, and then the header of each member is compared with it. Little
is kept of a member, so that memory is bounded by the number of members and not by their names.
"""

import re
import stat
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from fileservice.content_risks import ContentRisk
from fileservice.executor import RunCpu
from fileservice.upload.errors import ContentRefused, TooComplex
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.reading import ReadAt, Window
from fileservice.upload.inspection.zip_directory import (
    PIECE,
    SIZES_FOLLOW,
    STORED,
    BadArchive,
    Directory,
    Member,
    find_directory,
    parse_entries,
)

_LOCAL_HEADER = struct.Struct("<4s2x2H4x3I2H")
"""Section 4.3.7 of APPNOTE.TXT."""
_MASKED_HEADERS = 1 << 13
"""A bit of the flags: the sizes in the local header are hidden (section 4.4.4)."""
_ENTRY_BYTES = 1024
"""How long the entries of the directory may be on average, in bytes."""
_MAX_NAMES = 4 << 20
"""How many bytes the names of the parts of a document may have."""
_SMALL_DIRECTORY = 1 << 16
_RATIO_COUNTS_FROM = 64 << 20
"""Archives that unpack to fewer bytes may have any ratio."""
_FEW_READS = 2000
_SMALL_WINDOW, _LARGE_WINDOW = 1 << 12, 1 << 16
_ARCHIVE_NAME = re.compile(
    rb"\.(?:zip|jar|war|ear|apk|7z|rar|cab|iso|tar|t?gz|tbz2?|bz2|txz|xz|t?zst|lz4|lha|arj)\Z",
    re.IGNORECASE,
)
_ARCHIVE_SIGNATURES = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"\xfd7zXZ\0")
_LINKS_AND_DEVICES = (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK)
"""Not pipes, as which zip records its standard input, nor the mode 0o177777 of old jar files."""
_EXTENSION = 8
"""As many bytes of a name as an extension here can have with its full stop."""
_DOCUMENT_NAME = re.compile(rb"\.(?:doc|xls|ppt)[xm]\Z|\.od[tspg]\Z|\.epub\Z", re.IGNORECASE)
_SIGNATURE_BYTES = 8


@dataclass(frozen=True, slots=True)
class DocumentParts:
    """Which members of a document are looked at."""

    wanted: re.Pattern[bytes]
    folder: bytes = b""
    """A folder that the document must have."""


def _is_unsafe(name: bytes) -> bool:
    """Return whether a file of this name may be written outside of the directory that is meant."""
    return (
        name[:1] in (b"", b"/")
        or (name[1:2] == b":" and name[:1].isalpha())
        or b"\\" in name
        or b"\0" in name
        or (b".." in name and b"/../" in b"/%s/" % name)
    )


class ArchiveScan:
    """One archive; `names` are those of its members that are looked at."""

    def __init__(
        self, read_at: ReadAt, size: int, policy: ContentPolicy, parts: DocumentParts | None = None
    ) -> None:
        self._read_at = read_at
        self._size = size
        self._policy = policy
        self._parts = parts
        self.names: dict[bytes, int] = {}
        """The names that are wanted, in small letters, and the numbers of the members."""
        self.has_folder = False
        self._length_of_names = 0
        self._unpacked = 0
        self._hashes: set[int] = set()
        self._name_hashes = array("q")
        self._name_lengths = array("H")
        self._flags, self._methods = array("H"), array("H")
        self._crcs = array("I")
        self._compressed, self._sizes, self._offsets = array("Q"), array("Q"), array("Q")
        self._has_document_name = bytearray()
        self._data_offsets: dict[int, int] = {}

    def run(self, run_cpu: RunCpu) -> None:
        """Read the directory and the headers. Raise BadArchive, TooComplex or ContentRefused."""
        directory = find_directory(self._read_at, self._size)
        self._check_count(directory.count)
        limit = self._policy.max_members * _ENTRY_BYTES
        if directory.size > limit:
            raise TooComplex("directory", limit, "bytes in its directory")
        self._read_directory(directory, run_cpu)
        count = len(self._offsets)
        if count != directory.count and (directory.is_zip64 or count & 0xFFFF != directory.count):
            raise BadArchive("a zip archive with another number of members than it says")
        limit = self._policy.max_ratio
        if self._unpacked >= _RATIO_COUNTS_FROM and self._unpacked > limit * self._size:
            raise TooComplex("ratio", limit, "unpacked bytes for each of its own")
        self._check_headers(directory.offset, run_cpu)

    def content(self, name: bytes) -> tuple[int, int, int]:
        """Return the method of a member in `names`, and the offset and number of its bytes."""
        number = self.names[name]
        return self._methods[number], self._data_offsets[number], self._compressed[number]

    def _read_directory(self, directory: Directory, run_cpu: RunCpu) -> None:
        offset, end = directory.offset, directory.offset + directory.size
        while offset < end:
            piece = self._read_at(min(PIECE, end - offset), offset)
            if directory.size <= _SMALL_DIRECTORY:
                used = parse_entries(piece, self._visit)
            else:
                used = run_cpu(parse_entries, piece, self._visit)
            if not used:
                raise BadArchive("a zip archive with a directory that cannot be read")
            offset += used

    def _check_count(self, count: int) -> None:
        if count > self._policy.max_members:
            raise TooComplex("members", self._policy.max_members, "members")

    def _visit(self, member: Member) -> None:
        name = member.name
        self._check_count(len(self._offsets) + 1)
        self._unpacked += member.size
        if self._unpacked > self._policy.max_unpacked:
            raise TooComplex("unpacked-size", self._policy.max_unpacked, "bytes when unpacked")
        self._check_risks(member)
        if self._parts:
            self._keep_name(name, self._parts)
            if member.unicode_name not in (b"", name):
                self._keep_name(member.unicode_name, self._parts)
        self._name_hashes.append(hash(name))
        self._name_lengths.append(len(name))
        self._flags.append(member.flags)
        self._methods.append(member.method)
        self._crcs.append(member.crc)
        self._compressed.append(member.compressed)
        self._sizes.append(member.size)
        self._offsets.append(member.offset)

    def _keep_name(self, name: bytes, parts: DocumentParts) -> None:
        self.has_folder = self.has_folder or name.startswith(parts.folder)
        self._length_of_names += len(name)
        if self._length_of_names > _MAX_NAMES:
            raise TooComplex("descriptions", _MAX_NAMES, "bytes that name its parts")
        if not parts.wanted.search(name):
            return
        if name.lower() in self.names:
            raise BadArchive("a document with two parts of the same name")
        self.names[name.lower()] = len(self._offsets)

    def _check_risks(self, member: Member) -> None:
        policy, name = self._policy, member.name
        if ContentRisk.UNSAFE_NAMES in policy.refused:
            if _is_unsafe(name) or (member.unicode_name and _is_unsafe(member.unicode_name)):
                self._refuse(ContentRisk.UNSAFE_NAMES, "a name that leads out of a directory")
            before = len(self._hashes)
            self._hashes.add(hash(name))
            if len(self._hashes) == before:
                self._refuse(ContentRisk.UNSAFE_NAMES, "two members of the same name")
        is_link = member.is_unix and stat.S_IFMT(member.mode) in _LINKS_AND_DEVICES
        if ContentRisk.LINKS in policy.refused and is_link:
            self._refuse(ContentRisk.LINKS, "a link or a device")
        if ContentRisk.ENCRYPTED in policy.refused and member.is_encrypted:
            self._refuse(ContentRisk.ENCRYPTED, "encrypted members")
        if ContentRisk.NESTED_ARCHIVES in policy.refused:
            if _ARCHIVE_NAME.search(name[-_EXTENSION:]):
                self._refuse(ContentRisk.NESTED_ARCHIVES, "another archive")
            self._has_document_name.append(bool(_DOCUMENT_NAME.search(name[-_EXTENSION:])))

    def _refuse(self, risk: ContentRisk, found: str) -> None:
        raise ContentRefused(risk.value, found)

    def _check_headers(self, directory_offset: int, run_cpu: RunCpu) -> None:
        """Compare each header with the directory, in the order in which they lie in the file."""
        is_large = len(self._offsets) > _FEW_READS
        # About as many reads, which are requests to a bucket, and no byte twice.
        size = max(_LARGE_WINDOW, self._size // _FEW_READS) if is_large else _SMALL_WINDOW
        window = Window(self._read_at, size)
        steps = self._header_steps(directory_offset, window)

        def advance() -> tuple[int, int] | None:
            return next(steps, None)

        while needed := run_cpu(advance) if is_large else advance():
            window.move(*needed)

    def _header_steps(self, directory_offset: int, window: Window) -> Iterator[tuple[int, int]]:
        """Check headers; yield how many bytes from which offset must be in the window to go on."""
        wanted = set(self.names.values())
        end = 0
        for number in sorted(range(len(self._offsets)), key=self._offsets.__getitem__):
            offset = self._offsets[number]
            if offset < end:
                raise BadArchive("a zip archive with members that overlap")
            length = _LOCAL_HEADER.size + self._name_lengths[number]
            if not window.holds(length, offset):
                yield length, offset
            begin = self._check_header(number, window.held(length, offset))
            if self._has_document_name:
                count = min(_SIGNATURE_BYTES, self._compressed[number])
                if not window.holds(count, begin):
                    yield begin + count - offset, offset
                self._check_content(number, window.held(count, begin))
            if number in wanted:
                self._data_offsets[number] = begin
            end = begin + self._compressed[number]
            if end > directory_offset:
                raise BadArchive("a zip archive with members that overlap")

    def _check_header(self, number: int, header: bytes) -> int:
        """Return where the bytes of a member begin."""
        length = self._name_lengths[number]
        if len(header) < _LOCAL_HEADER.size + length:
            raise BadArchive("a zip archive with a directory that contradicts its members")
        signature, flags, method, crc, compressed, size, name, extra = _LOCAL_HEADER.unpack_from(
            header
        )
        expected = self._compressed[number], self._sizes[number], self._crcs[number]
        is_masked = bool(flags & (SIZES_FOLLOW | _MASKED_HEADERS))
        is_long = 0xFFFFFFFF in (compressed, size)
        if (
            signature != b"PK\x03\x04"
            or name != length
            or hash(header[_LOCAL_HEADER.size :]) != self._name_hashes[number]
            or method != self._methods[number]
            or (flags ^ self._flags[number]) & 1
            or not (is_masked or is_long or (compressed, size, crc) == expected)
        ):
            raise BadArchive("a zip archive with a directory that contradicts its members")
        if method == STORED and not flags & 1 and expected[0] != expected[1]:
            raise BadArchive("a zip archive with a directory that contradicts its members")
        begin: int = self._offsets[number] + _LOCAL_HEADER.size + name + extra
        return begin

    def _check_content(self, number: int, beginning: bytes) -> None:
        if self._methods[number] == STORED and (
            beginning.startswith(_ARCHIVE_SIGNATURES)
            or (beginning.startswith(b"PK\x03\x04") and not self._has_document_name[number])
        ):
            self._refuse(ContentRisk.NESTED_ARCHIVES, "another archive")
