"""The errors of the protocols: what a request says and must not."""


class BodyError(Exception):
    """The body cannot be used."""


class IncompleteBody(BodyError):
    """The client stopped before the end of the body."""


class PartialUpload(IncompleteBody):
    def __init__(self) -> None:
        super().__init__("the request sends only a part of the file (Content-Range); send it whole")


class PieceOfFile(IncompleteBody):
    """A piece, as one of the uploaders for pages sends it."""

    def __init__(self, dialect: str) -> None:
        super().__init__(
            f"the request sends one piece of a file in the way of {dialect}, which is not spoken"
            " here; switch its chunks off and send the file whole, or use a client of tus"
            " (tus-js-client, Uppy) with /tus/"
        )
        self.dialect = dialect


class BadDigestHeader(ValueError):
    """The field is not a dictionary of byte sequences; ``str(error)`` names the field."""


class BadForm(BodyError):
    """The form does not parse."""


class NoFile(BodyError):
    """There is no file in the form."""


class OneFileOnly(BodyError):
    def __init__(self) -> None:
        super().__init__("the form has more than one file; send each in a request of its own")


class Unsatisfiable(Exception):
    """None of the ranges lies in the file, which has `size` bytes: 416."""

    def __init__(self, size: int) -> None:
        super().__init__(f"none of the ranges asked for lies in the file, which has {size} bytes")
        self.size = size


class BadAppend(ValueError):
    def __init__(self) -> None:
        super().__init__("Upload-Offset and Upload-Complete are needed to add to an upload")


class InconsistentLength(ValueError):
    """The lengths that a client declares contradict each other, or what is there."""


class Completed(Exception):
    def __init__(self) -> None:
        super().__init__("the upload is complete; there is nothing to add")


class MismatchingOffset(Exception):
    def __init__(self, expected: int, provided: int) -> None:
        super().__init__(f"the upload stands at byte {expected}, the request begins at {provided}")
        self.expected_offset = expected
        self.provided_offset = provided


class FieldError(ValueError):
    """A header field cannot be used."""


class BadField(FieldError):
    """A field is missing or makes no sense; ``str(error)`` names it."""


class BadMetadata(FieldError):
    """Upload-Metadata has not the form `key base64,key base64`."""


class BadChecksum(FieldError):
    """Upload-Checksum has not the form `algorithm base64`, or its algorithm is not known here."""


class WrongVersion(Exception):
    def __init__(self, version: str) -> None:
        super().__init__(f"send Tus-Resumable: {version}, the version of tus that is spoken here")


class ChecksumMismatch(Exception):
    def __init__(self) -> None:
        super().__init__("the bytes that arrived are not those that Upload-Checksum is of")
