"""Enlarges OLE compound files ([MS-CFB]): the same streams, with the directory far away.

Word and Excel leave the directory wherever it came to lie when the file was last saved. `grow`
does the same to a small document: free sectors follow its own, and behind them come the directory
and a new allocation table.
"""

import struct

_SECTOR = 512
_PER_SECTOR = _SECTOR // 4
_IN_HEADER = 109
"""Sectors of the allocation table that the header itself can name."""
_DIFAT, _FAT, _END, _FREE = 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF
_HEADER = struct.Struct("<8s16s5H6x6I3I")
"""Section 2.2, up to the first entry of the DIFAT."""


def grow(document: bytes, size: int) -> bytes:
    """`document` with its directory at `size` bytes or later."""
    header = list(_HEADER.unpack_from(document))
    fat_count, directory, difat_count = header[8], header[9], header[15]
    assert header[5] == 9, "sectors of 512 bytes"
    assert difat_count == 0, "an allocation table that the header names whole"

    sectors = [
        document[at : at + _SECTOR].ljust(_SECTOR, b"\0")
        for at in range(_SECTOR, len(document), _SECTOR)
    ]
    fat_sectors = struct.unpack_from(f"<{fat_count}I", document, _HEADER.size)
    fat = [entry for at in fat_sectors for entry in struct.unpack(f"<{_PER_SECTOR}I", sectors[at])]
    fat = fat[: len(sectors)]
    chain = []
    while directory != _END:
        chain.append(directory)
        directory = fat[directory]

    moved = [sectors[at] for at in chain]
    for at in (*chain, *fat_sectors):
        sectors[at], fat[at] = b"\0" * _SECTOR, _FREE
    free = max(0, size // _SECTOR - len(sectors))
    sectors += [b"\0" * _SECTOR] * free
    fat += [_FREE] * free

    header[9] = len(sectors)
    fat += [*range(len(sectors) + 1, len(sectors) + len(moved)), _END]
    sectors += moved
    return _with_allocation_table(header, sectors, fat)


def _with_allocation_table(header: list[int], sectors: list[bytes], fat: list[int]) -> bytes:
    fat_count = difat_count = 0
    while fat_count * _PER_SECTOR < len(sectors) + fat_count + difat_count:
        fat_count += 1
        difat_count = -(-max(0, fat_count - _IN_HEADER) // (_PER_SECTOR - 1))
    first_fat, first_difat = len(sectors), len(sectors) + fat_count
    fat = fat + [_FAT] * fat_count + [_DIFAT] * difat_count
    places = list(range(first_fat, first_difat))

    header[8] = fat_count
    header[14] = first_difat if difat_count else _END
    header[15] = difat_count
    parts = [_HEADER.pack(*header), _table(places[:_IN_HEADER], _IN_HEADER), *sectors]
    parts.append(_table(fat, fat_count * _PER_SECTOR))
    for number in range(difat_count):
        begin = _IN_HEADER + number * (_PER_SECTOR - 1)
        last = number == difat_count - 1
        parts.append(_table(places[begin : begin + _PER_SECTOR - 1], _PER_SECTOR - 1))
        parts.append(_table([_END if last else first_difat + number + 1], 1))
    return b"".join(parts)


def _table(entries: list[int], length: int) -> bytes:
    return struct.pack(f"<{length}I", *entries, *[_FREE] * (length - len(entries)))
