"""The signatures of binary types that the beginning of a text can have.

libmagic compares the beginning of a text with all of its 3,500 signatures, since none of them fits
the usual one, and that takes longer than everything else that is done for a small file. Only these
few consist of characters that occur in text. The tests read libmagic's own database to find out
whether there are others.
"""

ORDINARY_BYTES = bytes((*b"\t\n\f\r", *range(0x20, 0x7F), *range(0x80, 0x100)))
"""What nearly all texts consist of. A text may have a few other characters, such as escape."""
SIGNATURE_BYTES = 8
"""A signature with bytes that are not ASCII, and no control characters, has one of these there."""
_DOCUMENTS = (b"%PDF-", b"\n%PDF-", b"%!", rb"{\rtf", rb"{\urtf", b"PO^Q`")
_MEDIA = (b"GIF8", b"BM", b"RIFF", b"OggS", b"fLaC", b"ID3")
_ARCHIVES = (b"BZh", b"BZ0", b"ANDROID BACKUP\n", b"ClamAV-VDB:", b"SQLite format 3")
_CONTAINERS = (b"MZ", b"BA", b"SBMBAKUP_", b"AUDIMG", b"PACK", b"$SDI", b"xar!", b"KpGr", b"1giM")
"""What follows these may be a file of any type."""
_AT_THE_BEGINNING = _DOCUMENTS + _MEDIA + _ARCHIVES + _CONTAINERS
_BOX_TYPES = (b"ftyp", b"moov", b"mdat")
"""The types of the first box of a QuickTime or MP4 file, which follow four bytes for its length."""


def may_have_signature(head: bytes) -> bool:
    """Return whether libmagic has to look for signatures in the first bytes of a file."""
    return (
        not head[:SIGNATURE_BYTES].isascii()
        or bool(head.translate(None, ORDINARY_BYTES))
        or head.startswith(_AT_THE_BEGINNING)
        or head.startswith(_BOX_TYPES, 4)
    )
