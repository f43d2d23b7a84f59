"""Zip archives, and the document formats that are zip archives with known members."""

import io
import lzma
import struct
import zipfile
import zlib

from fileservice.filetypes import FileType
from fileservice.storage import Staged

_END_RECORD = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_END_RECORD_REACH = 22 + 65535
"""How far from the end of the file the end record can begin (APPNOTE.TXT section 4.3.16)."""
_LARGEST_DIRECTORY = 1 << 20
"""A directory of members is read into memory only up to this size, in bytes."""
_UNSURE = ("application/zip", "application/octet-stream")

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    KeyError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    lzma.LZMAError,
)
"""What zipfile raises for archives that are damaged, encrypted, or use what it cannot."""

_PARTS = {"docx": "word/", "xlsx": "xl/", "pptx": "ppt/"}


def is_a(file_type: FileType, staged: Staged, found: str) -> bool:
    """Whether the archive is of this type, where libmagic calls it `found`.

    Every such document may also go by the name of zip. libmagic looks only at the first few
    members; where it is unsure, the list of all members decides.
    """
    directory_size = _directory_size(staged)
    if directory_size is None:
        return False
    if file_type.extension == "zip" or found in file_type.magic:
        return True
    return (
        found in _UNSURE
        and directory_size <= _LARGEST_DIRECTORY
        and _has_members_of(file_type, staged)
    )


def _directory_size(staged: Staged) -> int | None:
    size = staged.size
    begin = max(0, size - _END_RECORD_REACH)
    tail = staged.read_at(size - begin, begin)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) - at < 22:
        return None
    if _ZIP64_LOCATOR in tail[max(0, at - 20) : at]:
        return size  # its size stands elsewhere; no document needs one so large
    (directory_size,) = struct.unpack_from("<I", tail, at + 12)
    return int(directory_size)


def _has_members_of(file_type: FileType, staged: Staged) -> bool:
    try:
        with zipfile.ZipFile(io.BufferedReader(_Reader(staged))) as archive:
            names = archive.namelist()
            if file_type.extension in _PARTS:
                part = _PARTS[file_type.extension]
                return "[Content_Types].xml" in names and any(n.startswith(part) for n in names)
            with archive.open("mimetype") as member:
                return member.read(256).strip() == file_type.media_type.encode()
    except _BROKEN:
        return False


class _Reader(io.RawIOBase):
    """The staged bytes as a seekable file."""

    def __init__(self, staged: Staged) -> None:
        self._staged = staged
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._staged.size}
        self._position = start[whence] + offset
        if self._position < 0:
            raise ValueError("a position before the beginning of the file")
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._staged.read_at(len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
