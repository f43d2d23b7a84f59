"""The errors of uploads.

UploadError
├── UploadRejected                  the file is refused, and nothing of it is stored
│   ├── NoExtension                 its name has no extension
│   ├── ExtensionNotAllowed         the operator does not accept files with its extension
│   ├── TooLarge                    it has more bytes than a file may have
│   ├── PreconditionNotMet          the name is taken, or another version has it than asked for
│   ├── ExpiryTooLate               it is to be kept for longer than a file may be
│   ├── AlreadyExpired              its time was over before all of its bytes had arrived
│   ├── UnacceptableContent         its bytes rule it out
│   │   ├── ContentMismatch         they are not of the type that its extension stands for
│   │   ├── TooComplex              it unpacks to, or contains, more than the operator allows
│   │   ├── ContentRefused          it contains something that the operator refuses
│   │   └── RefusedByCheck          a check of the operator has refused it
│   │       ├── RefusedByScanner    the virus scanner has found something in it
│   │       └── RefusedByHook       the operator's command does not accept it
│   └── DigestMismatch              its bytes do not have a digest that the client declared
├── NotChecked                      the file could not be checked, so it is not published
│   ├── ScannerUnavailable          the virus scanner has not said what it is
│   ├── HookUnavailable             the operator's command has failed
│   └── TooManyChecks               too many files are being checked
└── ResumableUploadError            a request for an upload in several requests is refused
    ├── TooManyUnfinished           all clients together have as many of them as they may
    ├── TooManyUnfinishedOfClient   this client has as many of them as it may
    ├── UploadGone                  the upload was rejected, or it has expired
    ├── UploadIsFinal               it was concatenated from others, so it takes no bytes
    ├── OffsetMismatch              the request does not begin where the received bytes end
    ├── LengthConflict              another length was declared before
    ├── UploadInterrupted           another request has taken the lock; also a storage.Locked
    └── InvalidConcatenation        the uploads cannot be concatenated

The errors of the store (`fileservice.storage`) pass through uploads unchanged.
"""

from collections.abc import Mapping

from fileservice.filetypes import FileType
from fileservice.names import FileName
from fileservice.quantities import format_duration
from fileservice.storage import Locked, NameTaken


class UploadError(Exception):
    """An upload, or one request of it, was refused."""


class UploadRejected(UploadError):
    """The file is refused."""


class NotChecked(UploadError):
    """The file could not be checked. What was received of a resumable upload is kept."""


class ResumableUploadError(UploadError):
    """A request for a resumable upload is refused."""


class NoExtension(UploadRejected):
    def __init__(self, name: FileName) -> None:
        super().__init__(f"the name {name!r} has no extension; give it one, such as {name}.pdf")


class ExtensionNotAllowed(UploadRejected):
    def __init__(self, extension: str, allowed: Mapping[str, FileType]) -> None:
        super().__init__(f"files with the extension .{extension} are not accepted here")
        self.extension = extension
        self.allowed = sorted(allowed)


class TooLarge(UploadRejected):
    """The file has, or would have, more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the file has more than the {limit} bytes that are allowed")
        self.limit = limit


class PreconditionNotMet(UploadRejected):
    """If-None-Match: * and the name is taken, or If-Match and no such version has the name.

    See RFC 9110, sections 13.1.1 and 13.1.2.
    """


class ExpiryTooLate(UploadRejected):
    """The file is to be kept for longer than `limit` seconds."""

    def __init__(self, limit: float) -> None:
        super().__init__(f"a file may be kept for {format_duration(limit)} at most")
        self.limit = int(limit)


class AlreadyExpired(UploadRejected):
    def __init__(self) -> None:
        super().__init__("the time at which the file was to expire passed before it was complete")


class UnacceptableContent(UploadRejected):
    """The bytes of the file rule it out, so that it makes no sense to send more of them."""


class ContentMismatch(UnacceptableContent):
    """The content is not of the type that the extension stands for."""

    def __init__(self, file_type: FileType, found: str) -> None:
        super().__init__(
            f"the name says .{file_type.extension} ({file_type.media_type}), but the content is"
            f" {found}; give the file the extension that fits its content"
        )
        self.expected = file_type.media_type
        self.found = found


class TooComplex(UnacceptableContent):
    """What the file contains exceeds `limit`; `resource` says of what."""

    def __init__(self, resource: str, limit: int, counted: str) -> None:
        super().__init__(f"the file has too many {counted}; {limit} are allowed at most")
        self.resource = resource
        self.limit = limit


class ContentRefused(UnacceptableContent):
    """The file contains something that the operator refuses; `risk` is its name in the setting."""

    def __init__(self, risk: str, found: str) -> None:
        super().__init__(f"the file contains {found}, and files with that are not accepted here")
        self.risk = risk
        self.found = found


class DigestMismatch(UploadRejected):
    """The bytes do not have the digest that the client declared (RFC 9530)."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"the {algorithm} of the bytes that arrived is not the one that the request declares;"
            " either they were damaged on the way or the digest is wrong; send them again"
        )
        self.algorithm = algorithm


class RefusedByCheck(UnacceptableContent):
    """A check of the operator has refused the complete file."""


class RefusedByScanner(RefusedByCheck):
    """The virus scanner has found something, which it calls `signature`."""

    def __init__(self, signature: str) -> None:
        super().__init__(f"the virus scanner has found {signature} in the file")
        self.signature = signature


class RefusedByHook(RefusedByCheck):
    """The operator's command does not accept the file, and `reason` is what it says to clients."""

    def __init__(self, reason: str) -> None:
        self.reason = reason or "the operator of this service does not accept it"
        super().__init__(f"the file is refused: {self.reason}")


class ScannerUnavailable(NotChecked):
    def __init__(self) -> None:
        super().__init__("the virus scanner does not work at present; send the file again later")


class HookUnavailable(NotChecked):
    def __init__(self) -> None:
        super().__init__("the file could not be checked; send it again later")


class TooManyChecks(NotChecked):
    def __init__(self) -> None:
        super().__init__("too many files are being checked; send the file again soon")


REJECTIONS = (UploadRejected, NameTaken)
"""The errors that end a resumable upload for good."""


class TooManyUnfinished(ResumableUploadError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} unfinished uploads, and no more are allowed; try again later"
        )
        self.limit = limit


class TooManyUnfinishedOfClient(ResumableUploadError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} unfinished uploads of this address or owner, and no more are"
            " allowed; finish them, or end them (DELETE)"
        )
        self.limit = limit


class UploadGone(ResumableUploadError):
    """The upload was rejected, or it has expired; ``str(error)`` gives the reason."""


class UploadIsFinal(ResumableUploadError):
    """A final upload takes no bytes (tus 1.0.0, Concatenation)."""

    def __init__(self) -> None:
        super().__init__("this upload was concatenated from others; nothing can be added to it")


class OffsetMismatch(ResumableUploadError):
    """The request does not begin at `offset`, where the received bytes end."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload has {offset} bytes; send the bytes that follow them")
        self.offset = offset


class LengthConflict(ResumableUploadError):
    """The upload was declared to have another `length`."""

    def __init__(self, length: int) -> None:
        super().__init__(f"the upload was declared to have {length} bytes; that cannot be changed")
        self.length = length


class UploadInterrupted(ResumableUploadError, Locked):
    """The request had to release the lock of the upload to another request.

    Its client may still be there: the other request may be one of its own that arrived late.
    """

    def __init__(self) -> None:
        super().__init__("another request is continuing this upload; ask for its offset (HEAD)")


class InvalidConcatenation(ResumableUploadError):
    """The uploads are not all complete partial uploads, or one of them is named twice."""
