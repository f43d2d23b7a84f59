"""Whether the files of a store are still what was stored: verification, marks, and copying."""

from fileservice.integrity.copying import Copied, CopyState, copy_files
from fileservice.integrity.errors import FileDamaged
from fileservice.integrity.marks import DamageMarks
from fileservice.integrity.reading import ReadThrottle
from fileservice.integrity.verification import (
    FileState,
    Verification,
    VerifiedFile,
    verify_file,
)

__all__ = [
    "Copied",
    "CopyState",
    "DamageMarks",
    "FileDamaged",
    "FileState",
    "ReadThrottle",
    "Verification",
    "VerifiedFile",
    "copy_files",
    "verify_file",
]
