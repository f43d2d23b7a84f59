"""The directory of a zip archive, read in pieces: no part of it is trusted, and none is unpacked.

Sections named here are those of APPNOTE.TXT, PKWARE's specification of the format. Readers differ
in what they do with a directory that contradicts the members, so such an archive is damaged here.
"""

import struct
from dataclasses import dataclass

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
_LONG = struct.Struct("<Q")
_FIELD = struct.Struct("<2H")
"""Kind and length of an extra field (section 4.5.1)."""
_ZIP64_FIELD, _UNICODE_PATH = 0x0001, 0x7075
_BEFORE_NAME = 5
"""Version and CRC, which precede the name in the field for it."""
_MAX_EXTRA_FIELDS, _MAX_AVERAGE_FIELDS = 8, 4
"""How many fields of one member are looked at, and of all in a piece on average."""
_TOO_MANY_FIELDS = "a zip archive with too many extra fields"
_UNIX = (3, 19)
"""Systems whose files have permissions of Unix (section 4.4.2): Unix itself, and macOS."""


class BadArchive(Exception):
    """The archive contradicts itself; ``str(error)`` says in what."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the directory is, and how many members it is said to have; in bytes."""

    offset: int
    size: int
    count: int
    is_zip64: bool


Member = tuple[bytes, bytes, int, int, int, int, int, int, int]
"""What the directory says of one member: its name; another name that some readers prefer (section
4.6.9), empty if there is none; its type and permissions on Unix, 0 if they are unknown; flags and
method; CRC; compressed size, size and the offset of its header in bytes.

A class would cost as much time for each of them as to read its entry.
"""


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


def read_entries(piece: bytes) -> tuple[list[Member], int]:
    """Return the members whose entries are complete in `piece`, and how many bytes these have.

    Raise BadArchive.
    """
    members: list[Member] = []
    unpack, header_size = _ENTRY.unpack_from, _ENTRY.size
    at, last, fields = 0, len(piece) - header_size, 0
    while at <= last:
        (
            signature, made_by, flags, method, crc, compressed, size,
            name_length, extra_length, comment_length, attributes, offset,
        ) = unpack(piece, at)  # fmt: skip
        if signature != b"PK\x01\x02":
            raise BadArchive("a zip archive with a directory that cannot be read")
        name_end = at + header_size + name_length
        end = name_end + extra_length + comment_length
        if end > len(piece):
            break
        unicode_name = b""
        if extra_length:
            extra = piece[name_end : name_end + extra_length]
            is_zip64 = size == _MASK32 or compressed == _MASK32 or offset == _MASK32
            if is_zip64 or b"up" in extra:
                zip64, unicode_name, seen = _extra_fields(extra, is_zip64)
                fields += seen
                # It has those of these values that are masked, in this order (section 4.5.3).
                if size == _MASK32 and len(zip64) >= 8:
                    size, zip64 = _LONG.unpack_from(zip64)[0], zip64[8:]
                if compressed == _MASK32 and len(zip64) >= 8:
                    compressed, zip64 = _LONG.unpack_from(zip64)[0], zip64[8:]
                if offset == _MASK32 and len(zip64) >= 8:
                    (offset,) = _LONG.unpack_from(zip64)
        members.append(
            (
                piece[at + header_size : name_end],
                unicode_name,
                attributes >> 16 if made_by >> 8 in _UNIX else 0,
                flags, method, crc, compressed, size, offset,
            )
        )  # fmt: skip
        at = end
    if fields > _MAX_AVERAGE_FIELDS * len(members) + _MAX_EXTRA_FIELDS:
        raise BadArchive(_TOO_MANY_FIELDS)
    return members, at


def _extra_fields(extra: bytes, is_zip64: bool) -> tuple[bytes, bytes, int]:
    """Return the content of the first field of Zip64, the Unicode name, and how many were seen.

    What is not there is empty. The field of Zip64 is only looked for if `is_zip64`.
    """
    zip64 = unicode_path = None
    at, last = 0, len(extra) - _FIELD.size
    seen = 0
    while at <= last:
        if seen == _MAX_EXTRA_FIELDS:
            raise BadArchive(_TOO_MANY_FIELDS)
        seen += 1
        kind, length = _FIELD.unpack_from(extra, at)
        begin = at + 4
        at = begin + length
        if kind == _UNICODE_PATH and unicode_path is None:
            unicode_path = extra[begin:at]
        elif kind == _ZIP64_FIELD and zip64 is None:
            zip64 = extra[begin:at]
        else:
            continue
        if unicode_path is not None and (zip64 is not None or not is_zip64):
            break
    return zip64 or b"", (unicode_path or b"")[_BEFORE_NAME:], seen
