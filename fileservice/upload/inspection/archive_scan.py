"""ArchiveScan: whether a zip archive is consistent, within the limits, and without refused risks.

Its directory passes once, in pieces, and then the header of each member is compared with it. Little
is kept of a member, so that memory is bounded by the number of members and not by their names.
"""

import struct
from collections.abc import Iterator

from fileservice.content_risks import ContentRisk
from fileservice.executor import RunCpu
from fileservice.upload.errors import ContentRefused, TooComplex
from fileservice.upload.inspection.archive_members import ArchiveMembers, DocumentParts
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.reading import ReadAt, Window
from fileservice.upload.inspection.zip_directory import (
    ENCRYPTED,
    PIECE,
    SIZES_FOLLOW,
    STORED,
    BadArchive,
    Directory,
    find_directory,
    read_entries,
)

_LOCAL_HEADER = struct.Struct("<4s2x2H4x3I2H")
"""Section 4.3.7 of APPNOTE.TXT."""
_HIDDEN_SIZES = SIZES_FOLLOW | 1 << 13
"""Bits of the flags with which the sizes in the header say nothing (section 4.4.4)."""
_IN_ZIP64 = 0xFFFFFFFF
"""A size that stands in an extra field (section 4.5.3)."""
_ENTRY_BYTES = 512
"""How long the entries of the directory may be on average, in bytes, if there are the most."""
_SMALL_DIRECTORY = 1 << 16
_RATIO_COUNTS_FROM = 64 << 20
"""Archives that unpack to fewer bytes may have any ratio."""
_FEW_READS = 2000
_SMALL_WINDOW, _LARGE_WINDOW = 1 << 12, 1 << 16
_ARCHIVE_SIGNATURES = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"\xfd7zXZ\0")
_ZIP_SIGNATURE = b"PK\x03\x04"
_SIGNATURE_BYTES = 8
_CONTRADICTION = "a zip archive with a directory that contradicts its members"
_OVERLAP = "a zip archive with members that overlap"


class ArchiveScan:
    """One archive."""

    def __init__(
        self, read_at: ReadAt, size: int, policy: ContentPolicy, parts: DocumentParts | None = None
    ) -> None:
        self._read_at = read_at
        self._size = size
        self._policy = policy
        self._members = ArchiveMembers(policy, parts)
        self._data_offsets: dict[int, int] = {}

    @property
    def names(self) -> dict[bytes, int]:
        """The names of the parts that are looked at, in small letters, and their members."""
        return self._members.wanted

    @property
    def has_folder(self) -> bool:
        """Whether it has the folder that the document must have."""
        return self._members.has_folder

    def run(self, run_cpu: RunCpu) -> None:
        """Read the directory and the headers. Raise BadArchive, TooComplex or ContentRefused."""
        directory = find_directory(self._read_at, self._size)
        self._check_count(directory.count)
        limit = self._policy.max_members * _ENTRY_BYTES
        if directory.size > limit:
            raise TooComplex("directory", limit, "bytes in its directory")
        self._read_directory(directory, run_cpu)
        count = len(self._members)
        if count != directory.count and (directory.is_zip64 or count & 0xFFFF != directory.count):
            raise BadArchive("a zip archive with another number of members than it says")
        limit, unpacked = self._policy.max_ratio, self._members.unpacked
        if unpacked >= _RATIO_COUNTS_FROM and unpacked > limit * self._size:
            raise TooComplex("ratio", limit, "unpacked bytes for each of its own")
        self._check_headers(directory.offset, run_cpu)

    def content(self, name: bytes) -> tuple[int, int, int]:
        """Return the method of a member in `names`, and the offset and number of its bytes."""
        number, members = self.names[name], self._members
        return members.methods[number], self._data_offsets[number], members.compressed[number]

    def _read_directory(self, directory: Directory, run_cpu: RunCpu) -> None:
        offset, end = directory.offset, directory.offset + directory.size
        while offset < end:
            piece = self._read_at(min(PIECE, end - offset), offset)
            if directory.size <= _SMALL_DIRECTORY:
                used = self._add_entries(piece)
            else:
                used = run_cpu(self._add_entries, piece)
            if not used:
                raise BadArchive("a zip archive with a directory that cannot be read")
            offset += used

    def _add_entries(self, piece: bytes) -> int:
        """Add the members whose entries are complete in `piece`; return how long these are."""
        members, used = read_entries(piece)
        self._check_count(len(self._members) + len(members))
        self._members.add(members)
        return used

    def _check_count(self, count: int) -> None:
        if count > self._policy.max_members:
            raise TooComplex("members", self._policy.max_members, "members")

    def _check_headers(self, directory_offset: int, run_cpu: RunCpu) -> None:
        """Compare each header with the directory, in the order in which they lie in the file."""
        is_large = len(self._members) > _FEW_READS
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
        members = self._members
        offsets, hashes, name_lengths = members.offsets, members.name_hashes, members.name_lengths
        all_flags, methods, crcs = members.flags, members.methods, members.crcs
        sizes, packed_sizes = members.sizes, members.compressed
        wanted = set(members.wanted.values())
        unpack, header_size = _LOCAL_HEADER.unpack_from, _LOCAL_HEADER.size
        end = 0
        # Every statement here is executed for up to 100,000 members, so there are no functions.
        for number in sorted(range(len(members)), key=offsets.__getitem__):
            offset, name_length = offsets[number], name_lengths[number]
            if offset < end:
                raise BadArchive(_OVERLAP)
            data, at = window.content, offset - window.offset
            name_end = at + header_size + name_length
            if at < 0 or name_end > len(data):
                yield header_size + name_length, offset
                data, at = window.content, offset - window.offset
                name_end = at + header_size + name_length
                if name_end > len(data):
                    raise BadArchive(_CONTRADICTION)
            signature, flags, method, crc, compressed, size, length, extra = unpack(data, at)
            expected_compressed, expected_size = packed_sizes[number], sizes[number]
            if (
                signature != _ZIP_SIGNATURE
                or length != name_length
                or hash(data[at + header_size : name_end]) != hashes[number]
                or method != methods[number]
                or (flags ^ all_flags[number]) & ENCRYPTED
            ):
                raise BadArchive(_CONTRADICTION)
            if (
                (compressed != expected_compressed or size != expected_size or crc != crcs[number])
                and not flags & _HIDDEN_SIZES
                and compressed != _IN_ZIP64
                and size != _IN_ZIP64
            ):
                raise BadArchive(_CONTRADICTION)
            if method == STORED and expected_compressed != expected_size and not flags & ENCRYPTED:
                raise BadArchive(_CONTRADICTION)
            begin = offset + header_size + name_length + extra
            if members.are_documents and method == STORED and expected_compressed:
                count = min(_SIGNATURE_BYTES, expected_compressed)
                if not window.holds(count, begin):
                    yield begin + count - offset, offset
                self._check_content(number, window.held(count, begin))
            if number in wanted:
                self._data_offsets[number] = begin
            end = begin + expected_compressed
            if end > directory_offset:
                raise BadArchive(_OVERLAP)

    def _check_content(self, number: int, beginning: bytes) -> None:
        if beginning.startswith(_ARCHIVE_SIGNATURES) or (
            beginning.startswith(_ZIP_SIGNATURE) and not self._members.are_documents[number]
        ):
            raise ContentRefused(ContentRisk.NESTED_ARCHIVES.value, "another archive")
