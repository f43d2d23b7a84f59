"""Zip archives, and the document formats that are zip archives with known members."""

import lzma
import os
import struct
import zipfile
import zlib

from fileservice.filetypes import FileType

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


def is_a(file_type: FileType, descriptor: int, found: str) -> bool:
    """Whether the archive is of this type, where libmagic calls it `found`.

    Every such document may also go by the name of zip. libmagic looks only at the first few
    members; where it is unsure, the list of all members decides.
    """
    directory_size = _directory_size(descriptor)
    if directory_size is None:
        return False
    if file_type.extension == "zip" or found in file_type.magic:
        return True
    return (
        found in _UNSURE
        and directory_size <= _LARGEST_DIRECTORY
        and _has_members_of(file_type, descriptor)
    )


def _directory_size(descriptor: int) -> int | None:
    size = os.fstat(descriptor).st_size
    begin = max(0, size - _END_RECORD_REACH)
    tail = os.pread(descriptor, size - begin, begin)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) - at < 22:
        return None
    if _ZIP64_LOCATOR in tail[max(0, at - 20) : at]:
        return size  # its size stands elsewhere; no document needs one so large
    (directory_size,) = struct.unpack_from("<I", tail, at + 12)
    return int(directory_size)


def _has_members_of(file_type: FileType, descriptor: int) -> bool:
    try:
        with (
            os.fdopen(os.dup(descriptor), "rb") as file,
            zipfile.ZipFile(file) as archive,
        ):
            names = archive.namelist()
            if file_type.extension in _PARTS:
                part = _PARTS[file_type.extension]
                return "[Content_Types].xml" in names and any(n.startswith(part) for n in names)
            with archive.open("mimetype") as member:
                return member.read(256).strip() == file_type.media_type.encode()
    except _BROKEN:
        return False
