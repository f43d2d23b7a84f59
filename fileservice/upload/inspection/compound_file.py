"""What is in an OLE compound file, such as a document of Word 97: only its directory is read.

Sections named here are those of [MS-CFB]. Every table of the format can be made to lead in circles,
so no more steps are taken than a file of its size can need.
"""

import struct
from collections.abc import Iterator

from fileservice.content_risks import ContentRisk
from fileservice.upload.errors import ContentRefused, TooComplex
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.reading import ReadAt, Window

RISKS = (ContentRisk.MACROS, ContentRisk.EMBEDDED_OBJECTS, ContentRisk.ENCRYPTED)
_HEADER = struct.Struct("<30xH16xI16xI")
"""Sector shift, first sector of the directory, and first sector of the DIFAT that is not in the
header (section 2.2)."""
_HEADER_SIZE = 512
_IN_HEADER = 109
_MAX_REGULAR = 0xFFFFFFFA
"""Sector numbers are below this (section 2.1)."""
_ENTRY_SIZE = 128
_MAX_DIRECTORY = 1 << 20
_WINDOW = 1 << 12
_MACRO_NAMES = ("macros", "_vba_project_cur", "vba", "_vba_project")
_EMBEDDED_NAMES = ("objectpool", "\x01ole10native", "package")
_ENCRYPTED_NAMES = ("encryptedpackage", "encryptioninfo", "encryptedsummary")
_FOUND = {
    ContentRisk.MACROS: "macros",
    ContentRisk.EMBEDDED_OBJECTS: "an embedded object",
    ContentRisk.ENCRYPTED: "an encrypted document",
}


class BadCompoundFile(Exception):
    """The tables of the file cannot be followed; ``str(error)`` says what it is instead."""


def check(read_at: ReadAt, size: int, policy: ContentPolicy) -> None:
    """Raise ContentRefused, TooComplex or BadCompoundFile for a file of `size` bytes."""
    for name in _names(_Tables(read_at, size)):
        for risk in RISKS:
            if risk in policy.refused and _shows(name, risk):
                raise ContentRefused(risk.value, _FOUND[risk])


def _shows(name: str, risk: ContentRisk) -> bool:
    match risk:
        case ContentRisk.MACROS:
            return name in _MACRO_NAMES
        case ContentRisk.EMBEDDED_OBJECTS:
            return name in _EMBEDDED_NAMES or name.startswith("mbd")  # Excel: MBD and 8 digits
        case _:
            return name in _ENCRYPTED_NAMES


def _names(tables: "_Tables") -> Iterator[str]:
    """Yield the names of storages and streams, in small letters (section 2.6.1)."""
    for sector in tables.directory():
        for at in range(0, len(sector) - _ENTRY_SIZE + 1, _ENTRY_SIZE):
            length, kind = struct.unpack_from("<HB", sector, at + 64)
            if kind and 2 <= length <= 64:
                yield sector[at : at + length - 2].decode("utf-16-le", "replace").lower()


class _Tables:
    """The allocation tables of a compound file, of which no more is read than is needed."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        header = read_at(_HEADER_SIZE, 0)
        if len(header) < _HEADER_SIZE:
            raise BadCompoundFile("a part of a compound file")
        shift, self._first, self._next_difat = _HEADER.unpack_from(header)
        if shift not in (9, 12):
            raise BadCompoundFile("a compound file with sectors of an unknown size")
        self._sector_size = 1 << shift
        self._sectors = size >> shift
        self._directory_window = Window(read_at, _WINDOW)
        self._table_window = Window(read_at, _WINDOW)
        self._per_sector = self._sector_size // 4
        numbers = struct.unpack_from(f"<{_IN_HEADER}I", header, _HEADER_SIZE - 4 * _IN_HEADER)
        self._difat: list[int] = list(numbers)

    def directory(self) -> Iterator[bytes]:
        """Yield the sectors of the directory. Raise BadCompoundFile or TooComplex."""
        sector = self._first
        limit = _MAX_DIRECTORY // self._sector_size
        for _ in range(min(limit, self._sectors)):
            yield self._read(sector, self._directory_window)
            sector = self._following(sector)
            if sector >= _MAX_REGULAR:
                return
        if self._sectors <= limit:
            raise BadCompoundFile("a compound file with a directory that leads in circles")
        raise TooComplex("directory", _MAX_DIRECTORY, "bytes in its directory")

    def _read(self, sector: int, window: Window) -> bytes:
        content = window.read(self._sector_size, (sector + 1) * self._sector_size)
        if len(content) < self._sector_size and sector + 1 < self._sectors:
            raise BadCompoundFile("a part of a compound file")
        if not content:
            raise BadCompoundFile("a compound file with a directory that cannot be read")
        return content.ljust(self._sector_size, b"\0")

    def _following(self, sector: int) -> int:
        table = self._table_sector(sector // self._per_sector)
        offset = (table + 1) * self._sector_size + 4 * (sector % self._per_sector)
        entry = self._table_window.read(4, offset)
        if len(entry) < 4:
            raise BadCompoundFile("a compound file with a directory that cannot be read")
        return int.from_bytes(entry, "little")

    def _table_sector(self, number: int) -> int:
        """Return which sector has this part of the allocation table (section 2.5)."""
        while number >= len(self._difat):
            needed = _IN_HEADER + self._sectors // self._per_sector + 1
            if self._next_difat >= _MAX_REGULAR or len(self._difat) > needed:
                raise BadCompoundFile("a compound file with a directory that cannot be read")
            content = self._read(self._next_difat, self._table_window)
            *numbers, self._next_difat = struct.unpack(f"<{self._per_sector}I", content)
            self._difat += numbers
        return self._difat[number]
