"""The operations of links: those of their makers, and those of whoever has the URL of one."""

from fileservice.web.openapi.files import (
    CONDITIONS,
    EXPIRES,
    HEAD_OF_FILE,
    INLINE,
    LIMIT,
    NAME,
    NOT_MODIFIED,
    OF_FORMS,
    OF_UPLOADS,
    RANGE,
    RECORD,
    STORED,
    WHOLE_FILE,
)
from fileservice.web.openapi.operations import (
    OF_BODIES,
    TEXT,
    Answer,
    Operation,
    Parameter,
    argument,
    ref,
)

_LINK_ID = Parameter("link_id", "path", "The id of the link, which is no secret.")
_SECRET = Parameter("link_secret", "path", "The secret of the link, from its URL.")
_OF_LINKS = ("not-found", "link-gone")
_OF_DOWNLOADS = (*_OF_LINKS, "precondition-failed", "cross-site", "forbidden", "file-damaged")
_PAGE = "/s/{link_secret}"
_FILE = "/s/{link_secret}/{name}"

OPERATIONS = (
    Operation(
        "POST",
        "/links",
        "links",
        "Make a link",
        {
            201: Answer(
                "The link; no other answer has its URL.",
                {"application/json": ref("NewLink")},
                ("Location",),
            )
        },
        (
            "bad-name",
            "not-found",
            "wrong-content-type",
            "quota-exceeded",
            "storage-full",
            *OF_BODIES,
        ),
        ("share",),
        body={"application/json": ref("LinkTerms")},
    ),
    Operation(
        "GET",
        "/links",
        "links",
        "List one's links",
        {
            200: Answer("The newest first.", {"application/json": ref("Links")}, ("ETag", "Link")),
            304: NOT_MODIFIED,
        },
        needs=("share",),
        parameters=(LIMIT, argument("after", "Begin behind this position of a next page.")),
    ),
    Operation(
        "GET",
        "/links/{link_id}",
        "links",
        "Show a link",
        {
            200: Answer(
                "The link, and the files that came by it.",
                {"application/json": {"anyOf": [ref("LinkWithFiles"), ref("Link")]}},
            )
        },
        ("not-found",),
        ("share",),
        (_LINK_ID,),
    ),
    Operation(
        "DELETE",
        "/links/{link_id}",
        "links",
        "Revoke a link",
        {204: Answer("The link is over.")},
        ("not-found", "storage-full"),
        ("share",),
        (_LINK_ID,),
    ),
    Operation(
        "GET",
        _PAGE,
        "links",
        "What a link is for",
        {
            200: Answer(
                "JSON for programs, and a page for people.",
                {
                    "application/json": {"anyOf": [ref("DownloadByLink"), ref("UploadByLink")]},
                    "text/html": TEXT,
                },
            )
        },
        _OF_LINKS,
        ("link",),
        (_SECRET,),
    ),
    Operation(
        "POST",
        _PAGE,
        "links",
        "Store the file in a form, by a link for uploads",
        {
            200: Answer("The file was stored already.", RECORD, STORED),
            201: Answer("The file is complete, checked, and on stable storage.", RECORD, STORED),
            303: Answer("The page, for browsers.", {"text/html": TEXT}, ("Location",)),
        },
        (*_OF_LINKS, *OF_FORMS, *OF_UPLOADS, "forbidden"),
        ("link",),
        (_SECRET, EXPIRES),
        {"multipart/form-data": ref("FileForm")},
    ),
    Operation(
        "POST",
        "/s/{link_secret}/password",
        "links",
        "Say the password of a link",
        {303: Answer("The page of the link.", {"text/html": TEXT}, ("Location",))},
        (*_OF_LINKS, "wrong-content-type", "bad-form", *OF_BODIES),
        ("link",),
        (_SECRET,),
        {
            "application/x-www-form-urlencoded": {
                "type": "object",
                "properties": {"password": TEXT},
            }
        },
    ),
    Operation(
        "GET",
        _FILE,
        "links",
        "Download the file of a link",
        WHOLE_FILE,
        (*_OF_DOWNLOADS, "range-not-satisfiable"),
        ("link",),
        (_SECRET, NAME, INLINE, *CONDITIONS, RANGE),
    ),
    Operation(
        "HEAD",
        _FILE,
        "links",
        "Look at the file of a link without using it",
        HEAD_OF_FILE,
        _OF_DOWNLOADS,
        ("link",),
        (_SECRET, NAME, INLINE, *CONDITIONS),
    ),
)
