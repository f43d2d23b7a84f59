"""The way in: every upload, whatever its form, is received here in the same five steps.

What may be raised, besides the errors of the store:

    Refused                  see admission
    ContentMismatch          the bytes are not what the name says
    DigestMismatch           the bytes are not those that the client declared
    and whatever the blocks raise when the client stops short
"""

from fileservice.executor import Executor
from fileservice.upload.errors import (
    ContentMismatch,
    DigestMismatch,
    ExtensionNotAllowed,
    NoExtension,
    PreconditionNotMet,
    TooLarge,
    UploadRejected,
)
from fileservice.upload.policy import UploadPolicy, UploadRequest
from fileservice.upload.publish import UploadResult
from fileservice.upload.receive import receive

__all__ = [
    "ContentMismatch",
    "DigestMismatch",
    "Executor",
    "ExtensionNotAllowed",
    "NoExtension",
    "PreconditionNotMet",
    "TooLarge",
    "UploadPolicy",
    "UploadRejected",
    "UploadRequest",
    "UploadResult",
    "receive",
]
