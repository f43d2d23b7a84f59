"""The operations of uploads in several requests."""

from fileservice.web.openapi.files import BINARY, OF_UPLOADS, RECORD, STORED
from fileservice.web.openapi.operations import (
    WHOLE_NUMBER,
    Answer,
    Operation,
    Parameter,
    header,
)

_UPLOAD = Parameter("upload", "path", "The id of the upload, from the Location of its creation.")
_VERSION = header("Tus-Resumable", "The version of tus.", {"const": "1.0.0"}, required=True)
_TUS_LENGTH = header("Upload-Length", "The size of the file in bytes.", WHOLE_NUMBER)
_OFFSET = header("Upload-Offset", "Where the bytes belong.", WHOLE_NUMBER, required=True)
_CHECKSUM = header("Upload-Checksum", "An algorithm, and the checksum of the body in base64.")
_COMPLETE = header(
    "Upload-Complete", "`?1` with the last bytes of the file, and otherwise `?0`.", required=True
)
_TUS_FIELDS = ("Tus-Resumable", "Upload-Offset", "Upload-Expires", "Content-Location")
_DRAFT_FIELDS = ("Upload-Offset", "Upload-Complete", "Upload-Limit", "Content-Location")
_NO_UPLOAD = ("not-found", "upload-gone", "locked")
_OF_TUS = ("tus-version",)
_OF_BYTES = ("bad-checksum", "checksum-mismatch", "wrong-content-type")
_OF_APPENDING = (*_NO_UPLOAD, *OF_UPLOADS)
_COMPLETED = Answer("The file that the upload has become.", header_fields=("Location",))
_PATH, _DRAFT_PATH = "/tus/{upload}", "/resume/{upload}"


def _tus_options(path: str, *parameters: Parameter) -> Operation:
    fields = ("Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable")
    return Operation(
        "OPTIONS",
        path,
        "tus",
        "Ask which extensions are supported",
        {204: Answer("They are in the header fields.", header_fields=fields)},
        parameters=parameters,
        passes_door=False,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/tus/",
        "tus",
        "Create an upload, or concatenate partial uploads",
        {201: Answer("The upload.", header_fields=("Location", *_TUS_FIELDS))},
        (*OF_UPLOADS, *_OF_TUS, *_OF_BYTES, "bad-metadata", "bad-concat", "upload-gone",
         "offset-mismatch", "locked"),
        ("write",),
        (
            _VERSION,
            _TUS_LENGTH,
            header("Upload-Defer-Length", "`1`: the size is not known yet.", {"const": "1"}),
            header("Upload-Metadata", "Keys with values in base64: filename, expires, if-match."),
            header("Upload-Concat", "`partial`, or `final;` and the addresses of the parts."),
            _CHECKSUM,
            Parameter("expires", "query", "When the file expires, as in Upload-Metadata."),
        ),
        {"application/offset+octet-stream": BINARY},
        body_required=False,
    ),
    _tus_options("/tus/"),
    _tus_options(_PATH, _UPLOAD),
    Operation(
        "GET",
        _PATH,
        "tus",
        "Lead from a complete upload to its file",
        {
            200: Answer("The upload is not complete.", header_fields=_TUS_FIELDS),
            303: _COMPLETED,
        },
        _NO_UPLOAD,
        ("write",),
        (_UPLOAD,),
    ),
    Operation(
        "HEAD",
        _PATH,
        "tus",
        "Ask where to continue",
        {200: Answer("The offset.", header_fields=(*_TUS_FIELDS, "Upload-Length"))},
        (*_NO_UPLOAD, *_OF_TUS),
        ("write",),
        (_UPLOAD, _VERSION),
    ),
    Operation(
        "PATCH",
        _PATH,
        "tus",
        "Append bytes",
        {204: Answer("The bytes are on stable storage.", header_fields=_TUS_FIELDS)},
        (*_OF_APPENDING, *_OF_TUS, *_OF_BYTES, "offset-mismatch"),
        ("write",),
        (_UPLOAD, _VERSION, _OFFSET, _TUS_LENGTH, _CHECKSUM),
        {"application/offset+octet-stream": BINARY},
    ),
    Operation(
        "DELETE",
        _PATH,
        "tus",
        "End an upload",
        {204: Answer("The upload is removed.")},
        (*_NO_UPLOAD, *_OF_TUS),
        ("write",),
        (_UPLOAD, _VERSION),
    ),
    Operation(
        "GET",
        _DRAFT_PATH,
        "draft",
        "Lead from a complete upload to its file",
        {
            204: Answer("The upload is not complete.", header_fields=_DRAFT_FIELDS),
            303: _COMPLETED,
        },
        _NO_UPLOAD,
        ("write",),
        (_UPLOAD,),
    ),
    Operation(
        "HEAD",
        _DRAFT_PATH,
        "draft",
        "Ask where to continue",
        {204: Answer("The offset.", header_fields=(*_DRAFT_FIELDS, "Upload-Length"))},
        _NO_UPLOAD,
        ("write",),
        (_UPLOAD,),
    ),
    Operation(
        "PATCH",
        _DRAFT_PATH,
        "draft",
        "Append bytes",
        {
            200: Answer("The file was replaced.", RECORD, (*STORED, "Upload-Complete")),
            201: Answer("The file is complete.", RECORD, (*STORED, "Upload-Complete")),
            204: Answer("The bytes are on stable storage.", header_fields=_DRAFT_FIELDS),
        },
        (*_OF_APPENDING, "wrong-content-type", "mismatching-upload-offset", "completed-upload",
         "inconsistent-upload-length"),
        ("write",),
        (
            _UPLOAD,
            _OFFSET,
            _COMPLETE,
            header("Upload-Length", "The size of the file in bytes.", WHOLE_NUMBER),
            header("Content-Digest", "A digest of the body, which is verified (RFC 9530)."),
        ),
        {"application/partial-upload": BINARY},
    ),
    Operation(
        "DELETE",
        _DRAFT_PATH,
        "draft",
        "End an upload",
        {204: Answer("The upload is removed.")},
        _NO_UPLOAD,
        ("write",),
        (_UPLOAD,),
    ),
)  # fmt: skip
