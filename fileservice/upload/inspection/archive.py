"""Zip archives, and the document formats that are zip archives with certain members.

Archives are never unpacked, and of a document only its descriptions of its members are, within
limits: a few hundred bytes of an archive may inflate to gigabytes. Sections named here are those of
APPNOTE.TXT, PKWARE's specification of the format.
"""

import struct

from fileservice.executor import RunCpu
from fileservice.filetypes import FileType
from fileservice.storage import StagedFile
from fileservice.upload.errors import ContentMismatch
from fileservice.upload.inspection import package
from fileservice.upload.inspection.archive_members import DocumentParts
from fileservice.upload.inspection.archive_scan import ArchiveScan
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.reading import ReadAt
from fileservice.upload.inspection.zip_directory import ENCRYPTED, SIZES_FOLLOW, STORED, BadArchive

_LOCAL_HEADER = struct.Struct("<4s2xHH8xIIHH")
"""Signature, flags, method, compressed size, size, lengths of name and extra field (section
4.3.7)."""
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_MIMETYPE = b"mimetype"
_MAX_MIMETYPE = 256

_UNSPECIFIC = ("application/zip", "application/octet-stream")

_OFFICE_DIRECTORIES = {"docx": b"word/", "xlsx": b"xl/", "pptx": b"ppt/"}
_OFFICE_PARTS = (
    b"\0[content_types].xml\0", b".rels\0", b"vbaproject", b"vbadata", b"macrosheets/",
    b"embeddings/", b"activex/", b"oleobject",
)  # fmt: skip
_OPEN_DOCUMENT_PARTS = (b"\0meta-inf/manifest.xml\0", b"\0basic/", b"\0scripts/")


def check(
    file_type: FileType,
    staged: StagedFile,
    detected: str,
    policy: ContentPolicy,
    run_cpu: RunCpu,
) -> None:
    """Check an archive, given the media type that libmagic detected.

    Raise ContentMismatch if it is not of this type or contradicts itself, and TooComplex or
    ContentRefused. Every document may also have the extension zip. libmagic only looks at the first
    few members of an Office document. If its result is unspecific, the list of all members decides.
    """
    prefix = _OFFICE_DIRECTORIES.get(file_type.extension)
    is_plain = file_type.extension == "zip"
    if not (is_plain or prefix) and _stored_mimetype(staged.read_at) != (
        file_type.media_type.encode()
    ):
        raise ContentMismatch(file_type, detected)
    if prefix and detected not in (*file_type.magic, *_UNSPECIFIC):
        raise ContentMismatch(file_type, detected)
    parts = None
    if prefix:
        parts = DocumentParts(_OFFICE_PARTS, prefix)
    elif not is_plain:
        parts = DocumentParts(_OPEN_DOCUMENT_PARTS)
    scan = ArchiveScan(staged.read_at, staged.size, policy, parts)
    try:
        scan.run(run_cpu)
        if prefix:
            if package.CONTENT_TYPES not in scan.names or not scan.has_folder:
                raise ContentMismatch(file_type, detected)
            package.check_office(scan, staged.read_at, policy, run_cpu)
        elif not is_plain:
            package.check_open_document(scan, staged.read_at, policy, run_cpu)
    except BadArchive as error:
        raise ContentMismatch(file_type, str(error)) from None


def _stored_mimetype(read_at: ReadAt) -> bytes | None:
    """Return the content of the member `mimetype` if it comes first and is not compressed.

    OpenDocument (version 1.3, part 2, section 3.3) and EPUB (OCF 3.3, section 4.3) require that, so
    that programs which cannot read archives can find it in the head of the file.
    """
    header = read_at(_LOCAL_HEADER.size, 0)
    if len(header) < _LOCAL_HEADER.size:
        return None
    signature, flags, method, compressed, size, name, extra = _LOCAL_HEADER.unpack(header)
    if signature != b"PK\x03\x04" or flags & ENCRYPTED or method != STORED:
        return None
    if read_at(name, len(header)) != _MIMETYPE:
        return None
    content = read_at(_MAX_MIMETYPE, len(header) + name + extra)
    if flags & SIZES_FOLLOW:
        return content.partition(_DESCRIPTOR_SIGNATURE)[0].strip()
    return content[:size].strip() if compressed == size else None
