"""The way in: every upload, whatever its form, is received by the same steps.

`receive` takes a file that comes in one request, and `ResumableUploads` one that comes in several.
Both admit it, write its blocks through a pipeline that inspects them, and publish it. What other
packages may use is exported here; the errors are drawn as a tree in `fileservice.upload.errors`.
"""

from fileservice.upload.caller import Caller
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import (
    REJECTIONS,
    AlreadyExpired,
    ContentMismatch,
    ContentRefused,
    DigestMismatch,
    ExpiryTooLate,
    ExtensionNotAllowed,
    HookUnavailable,
    InvalidConcatenation,
    LengthConflict,
    NoExtension,
    NotChecked,
    OffsetMismatch,
    PreconditionNotMet,
    RefusedByCheck,
    RefusedByHook,
    RefusedByScanner,
    ResumableUploadError,
    ScannerUnavailable,
    TooComplex,
    TooLarge,
    TooManyChecks,
    TooManyUnfinished,
    TooManyUnfinishedOfClient,
    UploadError,
    UploadGone,
    UploadInterrupted,
    UploadIsFinal,
    UploadRejected,
)
from fileservice.upload.expired_files import remove_expired_files
from fileservice.upload.inspection.antivirus import Antivirus
from fileservice.upload.inspection.clamd import Clamd, ClamdError, TooLargeForClamd
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.policy import ANY_VERSION, UploadPolicy, UploadRequest
from fileservice.upload.publish import UploadResult
from fileservice.upload.receive import receive
from fileservice.upload.resumable.locks import LockTiming
from fileservice.upload.resumable.service import ResumableUploads
from fileservice.upload.resumable.session import AppendRequest
from fileservice.upload.resumable.state import UploadState
from fileservice.upload.resumable.status import UploadStatus
from fileservice.upload.resumable.unfinished import held_reservations
from fileservice.upload.staged_checks import FileFacts, StagedCheck, StagedChecks
from fileservice.upload.staged_command import StagedCommand
from fileservice.upload.verified_blocks import verified_blocks

__all__ = [
    "ANY_VERSION",
    "REJECTIONS",
    "AlreadyExpired",
    "Antivirus",
    "AppendRequest",
    "Caller",
    "Clamd",
    "ClamdError",
    "ContentMismatch",
    "ContentPolicy",
    "ContentRefused",
    "DigestMismatch",
    "ExpiryTooLate",
    "ExtensionNotAllowed",
    "FileFacts",
    "HookUnavailable",
    "InvalidConcatenation",
    "LengthConflict",
    "LockTiming",
    "NoExtension",
    "NotChecked",
    "OffsetMismatch",
    "PreconditionNotMet",
    "RefusedByCheck",
    "RefusedByHook",
    "RefusedByScanner",
    "ResumableUploadError",
    "ResumableUploads",
    "ScannerUnavailable",
    "StagedCheck",
    "StagedChecks",
    "StagedCommand",
    "TooComplex",
    "TooLarge",
    "TooLargeForClamd",
    "TooManyChecks",
    "TooManyUnfinished",
    "TooManyUnfinishedOfClient",
    "UploadContext",
    "UploadError",
    "UploadGone",
    "UploadInterrupted",
    "UploadIsFinal",
    "UploadPolicy",
    "UploadRejected",
    "UploadRequest",
    "UploadResult",
    "UploadState",
    "UploadStatus",
    "held_reservations",
    "receive",
    "remove_expired_files",
    "verified_blocks",
]
