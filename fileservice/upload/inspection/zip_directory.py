"""The directory of a zip archive, read in pieces: no part of it is trusted, and none is unpacked.

Sections named here are those of APPNOTE.TXT, PKWARE's specification of the format. Readers differ
in what they do with a directory that contradicts the members, so such an archive is damaged here.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fileservice.upload.inspection.reading import ReadAt

ENCRYPTED, SIZES_FOLLOW = 1, 8
"""Bits of the flags of a member (section 4.4.4)."""
STRONG_ENCRYPTION, AES = 1 << 6, 99
"""A bit of the flags, and a method that stands for encryption (AE-x of WinZip)."""
STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2IH")
"""End record (section 4.3.16)."""
_LOCATOR = struct.Struct("<4sIQI")
"""Where the end record of Zip64 is (section 4.3.15)."""
_END64 = struct.Struct("<4sQ2H2I4Q")
"""That record (section 4.3.14)."""
_ENTRY = struct.Struct("<4sH2x2H4x3I3H4x2I")
"""Entry of the directory (section 4.3.12)."""
_MAX_COMMENT = 65535
PIECE = 1 << 18
"""How many bytes of the directory are in memory at a time; any entry fits."""
_MASK16, _MASK32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_FIELD, _UNICODE_PATH = 0x0001, 0x7075
_MAX_EXTRA_FIELDS = 8


class BadArchive(Exception):
    """The archive contradicts itself; ``str(error)`` says in what."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the directory is, and how many members it is said to have; in bytes."""

    offset: int
    size: int
    count: int
    is_zip64: bool


class Member(NamedTuple):
    """What the directory says of one member; sizes and the offset of its header in bytes."""

    name: bytes
    unicode_name: bytes
    """Another name that some readers prefer (section 4.6.9); empty if there is none."""
    is_unix: bool
    mode: int
    """The type and the permissions on Unix, if `is_unix`."""
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    offset: int

    @property
    def is_encrypted(self) -> bool:
        return bool(self.flags & (ENCRYPTED | STRONG_ENCRYPTION)) or self.method == AES


def find_directory(read_at: ReadAt, size: int) -> Directory:
    """Return where the directory is in a file of `size` bytes. Raise BadArchive."""
    tail_offset = max(0, size - _END.size - _MAX_COMMENT)
    tail = read_at(size - tail_offset, tail_offset)
    begin = tail.rfind(b"PK\x05\x06")
    if begin < 0 or len(tail) - begin < _END.size:
        raise BadArchive("a zip archive without its end")
    _, disk, first_disk, here, count, length, offset, comment = _END.unpack_from(tail, begin)
    if begin + _END.size + comment != len(tail):
        raise BadArchive("a zip archive with bytes after its end")
    end = tail_offset + begin
    zip64 = _find_zip64(read_at, end)
    if zip64:
        end, values = zip64
        for value, mask, actual in zip(
            (here, count, length, offset), (_MASK16, _MASK16, _MASK32, _MASK32), values, strict=True
        ):
            if value not in (mask, actual):
                raise BadArchive("a zip archive with two ends that contradict each other")
        here, count, length, offset = values
    elif disk or first_disk:
        raise BadArchive("a part of a zip archive")
    if here != count:
        raise BadArchive("a part of a zip archive")
    if offset + length != end:
        raise BadArchive("a zip archive with a directory of another size than it says")
    return Directory(offset, length, count, bool(zip64))


def _find_zip64(read_at: ReadAt, end: int) -> tuple[int, tuple[int, int, int, int]] | None:
    if end < _LOCATOR.size + _END64.size:
        return None
    locator_offset = end - _LOCATOR.size
    signature, _, offset, disks = _LOCATOR.unpack(read_at(_LOCATOR.size, locator_offset))
    if signature != b"PK\x06\x07":
        return None
    if disks > 1:
        raise BadArchive("a part of a zip archive")
    if offset > locator_offset - _END64.size:
        raise BadArchive("a zip archive with a directory of another size than it says")
    record = _END64.unpack(read_at(_END64.size, offset))
    signature, length, _, _, disk, first_disk, *values = record
    if signature != b"PK\x06\x06" or offset + 12 + length != locator_offset or disk or first_disk:
        raise BadArchive("a zip archive with a directory of another size than it says")
    return offset, (values[0], values[1], values[2], values[3])


def parse_entries(piece: bytes, visit: Callable[[Member], None]) -> int:
    """Visit the members whose entries are complete in `piece`; return how many bytes they have.

    Raise BadArchive.
    """
    at = 0
    while len(piece) - at >= _ENTRY.size:
        entry = _ENTRY.unpack_from(piece, at)
        signature, made_by, flags, method, crc, compressed, size = entry[:7]
        name_length, extra_length, comment_length, attributes, offset = entry[7:]
        if signature != b"PK\x01\x02":
            raise BadArchive("a zip archive with a directory that cannot be read")
        name_end = at + _ENTRY.size + name_length
        end = name_end + extra_length + comment_length
        if end > len(piece):
            break
        unicode_name = b""
        if extra_length:
            extra = piece[name_end : name_end + extra_length]
            if _MASK32 in (compressed, size, offset):
                size, compressed, offset = _zip64_values(extra, size, compressed, offset)
            if b"up" in extra:
                unicode_name = _extra_field(extra, _UNICODE_PATH)[5:]
        name = piece[at + _ENTRY.size : name_end]
        is_unix = made_by >> 8 in (3, 19)
        visit(
            Member(
                name, unicode_name, is_unix, attributes >> 16, flags, method, crc,
                compressed, size, offset,
            )
        )  # fmt: skip
        at = end
    return at


def _zip64_values(extra: bytes, *values: int) -> list[int]:
    """Return the size, the compressed size and the offset, of which the field has some."""
    field = _extra_field(extra, _ZIP64_FIELD)
    result, at = [], 0
    for value in values:
        if value == _MASK32 and at + 8 <= len(field):
            value = int.from_bytes(field[at : at + 8], "little")
            at += 8
        result.append(value)
    return result


def _extra_field(extra: bytes, wanted: int) -> bytes:
    """Return the content of the first extra field of a kind (section 4.5.1); empty if none."""
    at = 0
    for _ in range(_MAX_EXTRA_FIELDS):
        if at + 4 > len(extra):
            return b""
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    raise BadArchive("a zip archive with too many extra fields")
