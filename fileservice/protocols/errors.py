"""The errors that the parsers of this package raise; none of them knows a status code.

ProtocolError
├── BodyError                      the body cannot be used
│   ├── IncompleteBody             the body ended before it was complete
│   │   ├── PartialUpload          the request carries a range of a file
│   │   └── ChunkedUpload          the request carries one chunk, as JavaScript uploaders send it
│   ├── BadForm                    the body is not a well-formed multipart/form-data form
│   ├── NoFile                     the form has no file in its field `file`
│   └── MultipleFiles              the form has more than one file
├── BadField                       a required header field is missing or malformed
│   ├── BadDigestHeader            Repr-Digest or Content-Digest
│   ├── BadMetadata                Upload-Metadata
│   ├── BadExpiry                  expires, wherever the request has it
│   └── BadChecksum                Upload-Checksum
├── RangeNotSatisfiable            no requested range overlaps the file
├── ChecksumMismatch               the bytes received do not match Upload-Checksum
├── UnsupportedVersion             the client does not use our version of tus
├── CompletedUpload                the upload is complete, nothing can be appended
├── InconsistentUploadLength       the declared lengths contradict each other
└── MismatchingUploadOffset        the request does not begin at the upload's offset
"""


class ProtocolError(Exception):
    """A request does not follow the protocol it uses."""


class BodyError(ProtocolError):
    """The body of a request cannot be used."""


class IncompleteBody(BodyError):
    """The body ended before it was complete."""


class PartialUpload(IncompleteBody):
    """The request carries a range of a file: a partial PUT (RFC 9110 section 14.5)."""

    def __init__(self) -> None:
        super().__init__(
            "the request carries only a part of the file (Content-Range); send the whole file"
        )


class ChunkedUpload(IncompleteBody):
    """The request carries one chunk of a file, as the JavaScript uploader `dialect` sends it."""

    def __init__(self, dialect: str) -> None:
        super().__init__(
            f"the request carries one chunk of a file in the form that {dialect} uses, which is not"
            f" supported; disable chunking in {dialect} and send the whole file in one request,"
            " or upload to /tus/ with a client of tus (tus-js-client, Uppy)"
        )
        self.dialect = dialect


class BadForm(BodyError):
    """The body is not a well-formed multipart/form-data form."""


class NoFile(BodyError):
    """The form has no file in its field `file`."""


class MultipleFiles(BodyError):
    """The form has more than one file."""

    def __init__(self) -> None:
        super().__init__("the form has more than one file; send each file in its own request")


class BadField(ProtocolError):
    """A required header field is missing, or a field is malformed; ``str(error)`` names it."""


class BadDigestHeader(BadField):
    """Repr-Digest or Content-Digest is not a dictionary of byte sequences (RFC 9530)."""


class BadMetadata(BadField):
    """Upload-Metadata does not have the form ``key base64,key base64``."""


class BadExpiry(BadField):
    """`expires` is neither a duration nor a time in the future; ``str(error)`` says what it is."""


class BadChecksum(BadField):
    """Upload-Checksum does not have the form ``algorithm base64``, or its algorithm is unknown."""


class RangeNotSatisfiable(ProtocolError):
    """None of the requested ranges overlaps the file, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"none of the requested ranges overlaps the file, which has {size} bytes")
        self.size = size


class ChecksumMismatch(ProtocolError):
    """The bytes received do not match Upload-Checksum."""

    def __init__(self) -> None:
        super().__init__("the bytes received do not match the digest in Upload-Checksum")


class UnsupportedVersion(ProtocolError):
    """The request names a version of tus other than `version`, or none."""

    def __init__(self, version: str) -> None:
        super().__init__(f"send Tus-Resumable: {version}, the supported version of tus")


class CompletedUpload(ProtocolError):
    """The upload is complete; nothing can be appended to it."""

    def __init__(self) -> None:
        super().__init__("the upload is complete; nothing can be appended to it")


class InconsistentUploadLength(ProtocolError):
    """The lengths that a client declares contradict each other or the upload."""


class MismatchingUploadOffset(ProtocolError):
    """The request appends at one offset, the upload is at another; both in bytes."""

    def __init__(self, expected: int, provided: int) -> None:
        super().__init__(f"the upload is at offset {expected}, the request begins at {provided}")
        self.expected_offset = expected
        self.provided_offset = provided
