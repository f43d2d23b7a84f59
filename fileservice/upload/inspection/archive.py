"""Zip archives, and the document formats that are zip archives with known members.

Nothing is ever decompressed, and no more is read than the bounds here say: a few hundred bytes of
an archive may inflate to gigabytes, and its records may name any size.
"""

import struct
from collections.abc import Iterator

from fileservice.filetypes import FileType
from fileservice.storage import StagedFile

_LOCAL_HEADER = struct.Struct("<4s2xHH8xIIHH")
"""Signature, flags, method, sizes (compressed, not), lengths of name and extra field
(APPNOTE.TXT section 4.3.7)."""
_LOCAL_SIGNATURE = b"PK\x03\x04"
_DESCRIPTOR = b"PK\x07\x08"
_ENCRYPTED, _SIZES_FOLLOW = 1, 8
_STORED = 0
_MIMETYPE = b"mimetype"
_LONGEST_MIMETYPE = 256

_DIRECTORY_ENTRY = struct.Struct("<4s24xHHH12x")
"""Signature, and the lengths of name, extra field and comment, which follow (section 4.3.12)."""
_ENTRY_SIGNATURE = b"PK\x01\x02"
_LARGEST_DIRECTORY = 1 << 20
"""A directory of members is read into memory only up to this size, in bytes."""

_END_RECORD = b"PK\x05\x06"
_END_RECORD_SIZE = 22
_LONGEST_COMMENT = 65535
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE = 20
_END_REACH = _ZIP64_LOCATOR_SIZE + _END_RECORD_SIZE + _LONGEST_COMMENT
"""How far from the end of the file the records of its end can begin (section 4.3.16)."""

_UNSURE = ("application/zip", "application/octet-stream")

_PARTS = {"docx": b"word/", "xlsx": b"xl/", "pptx": b"ppt/"}


def is_a(file_type: FileType, staged: StagedFile, found: str) -> bool:
    """Whether the archive is of this type, where libmagic calls it `found`.

    Every such document may also go by the name of zip. Of a document of Office, libmagic looks only
    at the first few members; where it is unsure, the list of all members decides.
    """
    directory = _directory(staged)
    if directory is None:
        return False
    if file_type.extension == "zip":
        return True
    if file_type.extension not in _PARTS:
        return _stored_mimetype(staged) == file_type.media_type.encode()
    begin, size = directory
    if found in file_type.magic:
        return True
    if found not in _UNSURE or size > _LARGEST_DIRECTORY:
        return False
    names = set(_member_names(staged.read_at(size, begin)))
    part = _PARTS[file_type.extension]
    return b"[Content_Types].xml" in names and any(name.startswith(part) for name in names)


def _directory(staged: StagedFile) -> tuple[int, int] | None:
    """Where the directory of members begins, and its size; None where the archive has no end."""
    size = staged.size
    begin = max(0, size - _END_REACH)
    tail = staged.read_at(size - begin, begin)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) - at < _END_RECORD_SIZE:
        return None
    if _ZIP64_LOCATOR in tail[max(0, at - _ZIP64_LOCATOR_SIZE) : at]:
        return 0, size  # it is described elsewhere; no document needs one so large
    (directory_size,) = struct.unpack_from("<I", tail, at + 12)
    return max(0, begin + at - directory_size), directory_size


def _member_names(directory: bytes) -> Iterator[bytes]:
    at = 0
    while len(directory) - at >= _DIRECTORY_ENTRY.size:
        signature, *lengths = _DIRECTORY_ENTRY.unpack_from(directory, at)
        if signature != _ENTRY_SIGNATURE:
            return
        at += _DIRECTORY_ENTRY.size
        yield directory[at : at + lengths[0]]
        at += sum(lengths)


def _stored_mimetype(staged: StagedFile) -> bytes | None:
    """The content of the member `mimetype`, None unless it comes first and is stored as it is.

    OpenDocument (version 1.3, part 2, section 3.3) and EPUB (OCF 3.3, section 4.3) want it so, that
    it can be read at the head of the file by those who know nothing of archives.
    """
    head = staged.read_at(_LOCAL_HEADER.size, 0)
    if len(head) < _LOCAL_HEADER.size:
        return None
    signature, flags, method, stored, size, name, extra = _LOCAL_HEADER.unpack(head)
    if signature != _LOCAL_SIGNATURE or flags & _ENCRYPTED or method != _STORED:
        return None
    if staged.read_at(name, len(head)) != _MIMETYPE:
        return None
    content = staged.read_at(_LONGEST_MIMETYPE, len(head) + name + extra)
    if flags & _SIZES_FOLLOW:
        return content.partition(_DESCRIPTOR)[0].strip()
    return content[:size].strip() if stored == size else None
