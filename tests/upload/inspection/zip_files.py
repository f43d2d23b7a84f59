"""Zip archives as attackers write them: every header and entry is given, nothing is derived."""

import struct
import zlib
from dataclasses import dataclass, field


@dataclass
class Entry:
    """One member; `local_*` are what its own header says if that is something else."""

    name: bytes
    packed: bytes = b""
    method: int = 0
    size: int | None = None
    flags: int = 0
    mode: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    crc: int = 0
    offset: int | None = None
    compressed: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    local_method: int | None = None
    written: int = field(default=0, init=False)


def deflated(name: bytes, content: bytes) -> Entry:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    return Entry(name, packed, 8, len(content), crc=zlib.crc32(content))


def write_many(*first: Entry, name: bytes, extra: bytes = b"", count: int = 100_000) -> bytes:
    """Return an archive that also has `count` members named `name % number`, each as it should be.

    Those have these extra fields, which are to say that a size is 0, as the header does not.
    """
    body = write_zip(*first)
    begin = int.from_bytes(body[-6:-2], "little")
    headers, entries = [body[:begin]], [body[begin:-22]]
    size, offset = 0xFFFFFFFF if extra else 0, begin
    header = struct.Struct("<4s5H3I2H")
    for number in range(count):
        named = name % number
        headers.append(
            header.pack(b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, size, len(named), 0) + named
        )
        entries.append(
            struct.pack(
                "<4s6H3I5H2I", b"PK\x01\x02", 3 << 8 | 20, 20, 0, 0, 0, 0, 0, 0, size, len(named),
                len(extra), 0, 0, 0, 0o100644 << 16, offset,
            ) + named + extra
        )  # fmt: skip
        offset += len(headers[-1])
    directory, members = b"".join(entries), len(first) + count
    end64 = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, len(directory), offset
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return b"".join((*headers, directory, end64, locator, end))


def write_zip(
    *entries: Entry,
    count: int | None = None,
    directory_size: int | None = None,
    comment: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Return the archive; `count` and `directory_size` are what its end says."""
    out = bytearray()
    for entry in entries:
        entry.written = len(out)
        if entry.offset is not None:
            continue  # it has the header of another one
        name = entry.name if entry.local_name is None else entry.local_name
        size = len(entry.packed) if entry.size is None else entry.size
        out += struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 20, entry.flags,
            entry.method if entry.local_method is None else entry.local_method, 0, 0, entry.crc,
            len(entry.packed), size if entry.local_size is None else entry.local_size, len(name), 0,
        )  # fmt: skip
        out += name + entry.packed
    begin = len(out)
    for entry in entries:
        size = len(entry.packed) if entry.size is None else entry.size
        compressed = len(entry.packed) if entry.compressed is None else entry.compressed
        made_by = 20 if entry.mode is None else 3 << 8 | 20
        offset = entry.written if entry.offset is None else entry.offset
        out += struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", made_by, 20, entry.flags, entry.method, 0, 0, entry.crc,
            compressed, size, len(entry.name), len(entry.extra), len(entry.comment), 0, 0,
            (entry.mode or 0) << 16, offset,
        )  # fmt: skip
        out += entry.name + entry.extra + entry.comment
    length = len(out) - begin
    number = len(entries) if count is None else count
    out += struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, number, number,
        length if directory_size is None else directory_size, begin, len(comment),
    )  # fmt: skip
    return bytes(out) + comment + after
