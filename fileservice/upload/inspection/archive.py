"""Zip archives, and the document formats that are zip archives with certain members.

Nothing is ever decompressed, and no more is read than the limits here allow: a few hundred bytes of
an archive may inflate to gigabytes, and its headers may claim any size. Sections named here are
those of APPNOTE.TXT, PKWARE's specification of the format.
"""

import struct
from collections.abc import Iterator

from fileservice.filetypes import FileType
from fileservice.storage import StagedFile

_LOCAL_HEADER = struct.Struct("<4s2xHH8xIIHH")
"""Signature, flags, method, compressed size, size, lengths of name and extra field (section
4.3.7)."""
_LOCAL_SIGNATURE = b"PK\x03\x04"
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_ENCRYPTED, _SIZES_FOLLOW = 1, 8
_STORED = 0
_MIMETYPE = b"mimetype"
_MAX_MIMETYPE = 256

_DIRECTORY_ENTRY = struct.Struct("<4s24xHHH12x")
"""Signature, and the lengths of name, extra field and comment, which follow (section 4.3.12)."""
_ENTRY_SIGNATURE = b"PK\x01\x02"
_MAX_DIRECTORY = 1 << 20
"""A directory of members is only read into memory up to this size, in bytes."""

_END_RECORD = b"PK\x05\x06"
_END_RECORD_SIZE = 22
_MAX_COMMENT = 65535
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE = 20
_MAX_END = _ZIP64_LOCATOR_SIZE + _END_RECORD_SIZE + _MAX_COMMENT
"""How far from the end of the file its end records can begin (section 4.3.16)."""

_UNSPECIFIC = ("application/zip", "application/octet-stream")

_OFFICE_DIRECTORIES = {"docx": b"word/", "xlsx": b"xl/", "pptx": b"ppt/"}


def matches(file_type: FileType, staged: StagedFile, detected: str) -> bool:
    """Return whether the archive is of this type, given the media type that libmagic detected.

    Every document may also have the extension zip. libmagic only looks at the first few members of
    an Office document. If its result is unspecific, the list of all members decides.
    """
    directory = _directory(staged)
    if directory is None:
        return False
    if file_type.extension == "zip":
        return True
    if file_type.extension not in _OFFICE_DIRECTORIES:
        return _stored_mimetype(staged) == file_type.media_type.encode()
    offset, size = directory
    if detected in file_type.magic:
        return True
    if detected not in _UNSPECIFIC or size > _MAX_DIRECTORY:
        return False
    names = set(_member_names(staged.read_at(size, offset)))
    prefix = _OFFICE_DIRECTORIES[file_type.extension]
    return b"[Content_Types].xml" in names and any(name.startswith(prefix) for name in names)


def _directory(staged: StagedFile) -> tuple[int, int] | None:
    """Return the offset and size of the directory of members; None if there is no end record."""
    size = staged.size
    tail_offset = max(0, size - _MAX_END)
    tail = staged.read_at(size - tail_offset, tail_offset)
    end = tail.rfind(_END_RECORD)
    if end < 0 or len(tail) - end < _END_RECORD_SIZE:
        return None
    if _ZIP64_LOCATOR in tail[max(0, end - _ZIP64_LOCATOR_SIZE) : end]:
        return 0, size  # another record has its size; no document needs such a large directory
    (directory_size,) = struct.unpack_from("<I", tail, end + 12)
    return max(0, tail_offset + end - directory_size), directory_size


def _member_names(directory: bytes) -> Iterator[bytes]:
    offset = 0
    while len(directory) - offset >= _DIRECTORY_ENTRY.size:
        signature, *lengths = _DIRECTORY_ENTRY.unpack_from(directory, offset)
        if signature != _ENTRY_SIGNATURE:
            return
        offset += _DIRECTORY_ENTRY.size
        yield directory[offset : offset + lengths[0]]
        offset += sum(lengths)


def _stored_mimetype(staged: StagedFile) -> bytes | None:
    """Return the content of the member `mimetype` if it comes first and is not compressed.

    OpenDocument (version 1.3, part 2, section 3.3) and EPUB (OCF 3.3, section 4.3) require that, so
    that programs which cannot read archives can find it in the head of the file.
    """
    header = staged.read_at(_LOCAL_HEADER.size, 0)
    if len(header) < _LOCAL_HEADER.size:
        return None
    signature, flags, method, compressed, size, name, extra = _LOCAL_HEADER.unpack(header)
    if signature != _LOCAL_SIGNATURE or flags & _ENCRYPTED or method != _STORED:
        return None
    if staged.read_at(name, len(header)) != _MIMETYPE:
        return None
    content = staged.read_at(_MAX_MIMETYPE, len(header) + name + extra)
    if flags & _SIZES_FOLLOW:
        return content.partition(_DESCRIPTOR_SIGNATURE)[0].strip()
    return content[:size].strip() if compressed == size else None
