"""The operations on files: uploads in one request, the list, downloads, archives, deletion."""

from fileservice.web.openapi.operations import (
    OF_BODIES,
    TEXT,
    Answer,
    Operation,
    Parameter,
    Schema,
    argument,
    header,
    ref,
)

BINARY: Schema = {}
NAME = Parameter(
    "name",
    "path",
    "The name of the file: one segment in UTF-8, with an extension.",
    {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["report.pdf"]},
)
EXPIRES = argument("expires", "When the file expires: a duration such as 7d, or a time (RFC 3339).")
RECORD = {"application/json": ref("File")}
STORED = ("Location", "ETag", "Repr-Digest")
OF_UPLOADS = (
    *("bad-name", "no-extension", "bad-digest-header", "digest-mismatch", "bad-expiry"),
    *("name-taken", "precondition-failed", "too-large", "extension-not-allowed"),
    *("content-mismatch", "expiry-not-supported", "storage-full", "quota-exceeded"),
    *("too-complex", "content-refused", "refused-by-scanner", "scanner-unavailable"),
    *("refused-by-hook", "hook-unavailable"),
    *OF_BODIES,
)
OF_FORMS = ("no-file", "one-file-only", "bad-form")
_OF_DRAFT = ("inconsistent-upload-length", "locked", "upload-gone", "mismatching-upload-offset")
CONDITIONS = (
    header("If-Match", "Answer only if the file has one of these entity tags."),
    header("If-None-Match", "Answer only if the file has none of these entity tags."),
)
REPLACING = (
    header("If-Match", "Replace the file that has one of these entity tags; `*` for any."),
    header("If-None-Match", "`*`: refuse a taken name with 412 instead of 409."),
)
_DIGESTS = (
    header("Repr-Digest", "A digest of the file, which is verified (RFC 9530)."),
    header("Content-Digest", "A digest of the body, which is verified (RFC 9530)."),
)
_DRAFT = (
    header("Upload-Complete", "`?0` begins an upload that is resumed, by the IETF draft."),
    header("Upload-Length", "The size of the file in bytes, by the IETF draft."),
)
LIMIT = argument(
    "limit", "The size of a page.", {"type": "integer", "minimum": 1, "maximum": 10_000}
)
_LIST_ARGUMENTS = (
    LIMIT,
    argument("after", "Begin after this name."),
    argument("before", "End before this name; needs `limit`."),
    argument("prefix", "Only names that begin with this text."),
    argument("q", "Only names that contain this text, in any case."),
    argument(
        "sort",
        "The order; any but `name` needs `limit`.",
        {"enum": ["name", "-name", "size", "-size", "modified", "-modified"]},
    ),
)
INLINE = argument(
    "inline", "`1`: a browser shows the file instead of saving it.", {"enum": ["0", "1"]}
)
RANGE = header("Range", "The ranges of the file that are wanted.")
FILE_FIELDS = ("ETag", "Last-Modified", "Repr-Digest", "Content-Disposition", "Sunset")
_FILE = {"*/*": BINARY}
_OF_FILES = ("not-found", "precondition-failed")
NOT_MODIFIED = Answer("The client has it already.", header_fields=("ETag",))
WHOLE_FILE = {
    200: Answer("The file.", _FILE, FILE_FIELDS),
    206: Answer("Ranges of it.", _FILE, (*FILE_FIELDS, "Content-Range")),
    304: NOT_MODIFIED,
    307: Answer("Where the bucket has the file.", header_fields=("Location",)),
}
HEAD_OF_FILE = {
    200: Answer("What `GET` would answer.", header_fields=FILE_FIELDS),
    304: NOT_MODIFIED,
}


def _raw_upload(method: str) -> Operation:
    return Operation(
        method,
        "/upload/{name}",
        "files",
        "Store the body as this file",
        {
            200: Answer("The file was replaced, or was stored already.", RECORD, STORED),
            201: Answer("The file is complete, checked, and on stable storage.", RECORD, STORED),
        },
        (*OF_UPLOADS, *_OF_DRAFT),
        ("write",),
        (NAME, EXPIRES, *REPLACING, *_DIGESTS, *_DRAFT),
        {"application/octet-stream": BINARY, "*/*": BINARY},
        description=(
            "`Content-Type` does not matter. With `Upload-Complete: ?0`, `Location` is the address"
            " at which the upload continues. `If-Match` needs the scope `delete` as well."
        ),
    )


_OF_DOWNLOADS = (*_OF_FILES, "file-damaged")


def _download(method: str, path: str) -> Operation:
    return Operation(
        method,
        path,
        "files",
        "Download a file" if method == "GET" else "Look at a file without downloading it",
        WHOLE_FILE if method == "GET" else HEAD_OF_FILE,
        (*_OF_DOWNLOADS, "range-not-satisfiable") if method == "GET" else _OF_DOWNLOADS,
        ("read",),
        (NAME, INLINE, *CONDITIONS, *((RANGE,) if method == "GET" else ())),
    )


OPERATIONS = (
    Operation(
        "POST",
        "/upload",
        "files",
        "Store the file in a form",
        {
            200: Answer("The file was replaced.", RECORD, STORED),
            201: Answer("The file is complete, checked, and on stable storage.", RECORD, STORED),
            303: Answer("The page, for browsers.", {"text/html": TEXT}, ("Location",)),
        },
        (*OF_FORMS, *OF_UPLOADS),
        ("write",),
        (EXPIRES, *REPLACING),
        {"multipart/form-data": ref("FileForm")},
    ),
    _raw_upload("PUT"),
    _raw_upload("POST"),
    Operation(
        "OPTIONS",
        "/upload/{name}",
        "files",
        "Ask how large uploads may be",
        {204: Answer("Uploads can be resumed.", header_fields=("Upload-Limit",))},
        parameters=(Parameter("name", "path", "Any name."),),
        passes_door=False,
    ),
    Operation(
        "GET",
        "/download",
        "files",
        "List the files",
        {
            200: Answer(
                "The list, or a page.", {"application/json": ref("Files")}, ("ETag", "Link")
            ),
            304: NOT_MODIFIED,
        },
        needs=("list",),
        parameters=_LIST_ARGUMENTS,
    ),
    _download("GET", "/download/{name}"),
    _download("HEAD", "/download/{name}"),
    Operation(
        "DELETE",
        "/download/{name}",
        "files",
        "Delete a file",
        {204: Answer("The file is deleted durably.")},
        _OF_FILES,
        ("delete",),
        (NAME, *CONDITIONS),
    ),
    Operation(
        "GET",
        "/files/",
        "files",
        "An index for tools that follow links",
        {200: Answer("The index.", {"text/html": TEXT}, ("ETag",)), 304: NOT_MODIFIED},
        needs=("list",),
    ),
    Operation(
        "GET",
        "/files",
        "files",
        "Lead to the index",
        {308: Answer("The index.", {"text/html": TEXT}, ("Location",))},
        name="get-files-without-slash",
    ),
    _download("GET", "/files/{name}"),
    _download("HEAD", "/files/{name}"),
    Operation(
        "GET",
        "/archive.zip",
        "files",
        "Several files as a zip archive",
        {200: Answer("The archive.", {"application/zip": BINARY}, ("Content-Disposition",))},
        ("not-found", "file-damaged"),
        ("read",),
        (
            argument("name", "A file; may be repeated.", {"type": "array", "items": TEXT}),
            argument("prefix", "All files whose names begin with this; needs `list` as well."),
            argument("q", "All files whose names contain this; needs `list` as well."),
        ),
        description="Takes either `name`, or `prefix` or `q` or both.",
    ),
)
