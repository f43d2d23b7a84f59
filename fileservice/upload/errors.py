"""The errors of the way in: why a file is not taken."""

from collections.abc import Mapping

from fileservice.filetypes import FileType
from fileservice.names import FileName
from fileservice.storage import Locked


class ContentMismatch(Exception):
    """The content is not of the type that the extension promises."""

    def __init__(self, file_type: FileType, found: str) -> None:
        super().__init__(
            f"the name says .{file_type.extension} ({file_type.media_type}), but the content is"
            f" {found}; give the file the extension that fits its content"
        )
        self.expected = file_type.media_type
        self.found = found


class UploadRejected(Exception):
    """The upload is against the rules."""


class NoExtension(UploadRejected):
    def __init__(self, name: FileName) -> None:
        super().__init__(f"the name {name!r} has no extension; give it one, such as {name}.pdf")


class ExtensionNotAllowed(UploadRejected):
    def __init__(self, extension: str, allowed: Mapping[str, FileType]) -> None:
        super().__init__(f"files of the kind .{extension} are not taken here")
        self.extension = extension
        self.allowed = sorted(allowed)


class TooLarge(UploadRejected):
    def __init__(self, limit: int) -> None:
        super().__init__(f"the file is larger than the {limit} bytes that one may have here")
        self.limit = limit


class PreconditionNotMet(UploadRejected):
    """The client asked for the upload only if a name is free, and it is not."""


class DigestMismatch(Exception):
    """The bytes that arrived are not the ones the client said it would send."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"the {algorithm} of the bytes that arrived is not the one that the request declares;"
            " they were damaged on the way, or the digest is of something else: send them again"
        )
        self.algorithm = algorithm


class InvalidConcatenation(Exception):
    """The parts are not all there, each of them complete."""


class TooManyUnfinished(Exception):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} unfinished uploads, as many as there may be; try again later"
        )
        self.limit = limit


class TooManyUnfinishedOfClient(Exception):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} unfinished uploads from this address, as many as one may have;"
            " finish them, or end them (DELETE)"
        )
        self.limit = limit


class TakenOver(Locked):
    """This request had to let go.

    Its client may be there still: what took over can be an old request of its own that came late.
    """

    def __init__(self) -> None:
        super().__init__("another request has taken this upload over; ask where it stands")


class UploadGone(Exception):
    """The upload is no more: it was refused, or has expired; ``str(error)`` says why."""


class Sealed(Exception):
    def __init__(self) -> None:
        super().__init__("this upload was joined from others; nothing can be added to it")


class OffsetMismatch(Exception):
    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload stands at byte {offset}; send what follows from there")
        self.offset = offset


class LengthConflict(Exception):
    def __init__(self, length: int) -> None:
        super().__init__(f"the upload was declared to have {length} bytes; that cannot be changed")
        self.length = length
