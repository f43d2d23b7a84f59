"""The schemas of what the service answers in JSON, and of what it takes (JSON Schema 2020-12)."""

from typing import Any

from fileservice.content_risks import ContentRisk
from fileservice.web.openapi.operations import TEXT, WHOLE_NUMBER, Schema, ref

_TIME = {"type": "string", "format": "date-time"}
_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_NUMBER_OR_NULL = {"type": ["integer", "null"], "minimum": 0}
_URL = {"type": "string", "format": "uri"}


def record(members: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of an object with these members."""
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": members, "required": required}


_LINK: dict[str, Schema] = {
    "id": {"type": "string"},
    "maker": TEXT,
    "created": _TIME,
    "expires": _TIME_OR_NULL,
    "state": {"enum": ["valid", "revoked", "expired", "used up", "void", "gone"]},
    "note": TEXT,
    "password": {"type": "boolean"},
    "name": {"type": "string", "description": "The file, of a link for downloads."},
    "uses": _NUMBER_OR_NULL,
    "uses_left": _NUMBER_OR_NULL,
    "upload": record(
        {"prefix": TEXT, "files": _NUMBER_OR_NULL, "bytes": _NUMBER_OR_NULL},
    )
    | {"description": "What guests may upload, of a link for uploads."},
    "received": {
        "oneOf": [{"type": "null"}, record({"files": WHOLE_NUMBER, "bytes": WHOLE_NUMBER})],
    },
}
_OF_ONE_KIND = ("name", "uses", "uses_left", "upload", "received")
_EXPIRY = {
    "type": "string",
    "description": "A duration such as 12h or 7d, or a time (RFC 3339).",
    "examples": ["7d", "2027-01-31T18:00:00Z"],
}
_FILE: dict[str, Schema] = {
    "filename": {"type": "string", "examples": ["report.pdf"]},
    "url": _URL,
    "size": {"type": "integer", "minimum": 0, "description": "In bytes."},
    "type": {"type": "string", "description": "The media type of its content."},
    "modified": _TIME,
    "expires": {**_TIME_OR_NULL, "description": "Null for never."},
    "digest": {
        "type": ["string", "null"],
        "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$",
        "description": "Null if it is unknown.",
    },
}

SCHEMAS: dict[str, Schema] = {
    "File": record(_FILE),
    "Files": {"type": "array", "items": ref("File")},
    "Link": record(_LINK, optional=_OF_ONE_KIND),
    "Links": {"type": "array", "items": ref("Link")},
    "NewLink": record(
        {**_LINK, "url": _URL, "qr": {"type": "string", "description": "The URL as an SVG."}},
        optional=_OF_ONE_KIND,
    ),
    "LinkWithFiles": record(
        {
            **_LINK,
            "files": {
                "type": "array",
                "items": record({"filename": TEXT, "url": _URL, "size": WHOLE_NUMBER}),
            },
        },
        optional=_OF_ONE_KIND,
    ),
    "LinkTerms": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "The file that may be fetched."},
            "upload": {
                "type": "object",
                "properties": {
                    "prefix": {"type": "string", "minLength": 1, "maxLength": 100},
                    "files": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                    "bytes": {
                        "type": ["integer", "string"],
                        "minimum": 1,
                        "pattern": "^[1-9][0-9]{0,17}(B|KiB|MiB|GiB|TiB)?$",
                        "description": "A number, or a size such as 1GiB.",
                    },
                },
                "required": ["prefix"],
                "additionalProperties": False,
            },
            "uses": {"type": "integer", "minimum": 1, "maximum": 1000},
            "expires": _EXPIRY,
            "password": {"type": "string", "minLength": 1, "maxLength": 1024},
            "note": {"type": "string", "maxLength": 200},
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["name"]}, {"required": ["upload"]}],
        "examples": [{"name": "report.pdf", "expires": "7d", "uses": 3}],
    },
    "DownloadByLink": record({**_FILE, "uses_left": _NUMBER_OR_NULL}),
    "UploadByLink": record(
        {
            "upload": record(
                {
                    "prefix": TEXT,
                    "files": _NUMBER_OR_NULL,
                    "bytes": _NUMBER_OR_NULL,
                    "max_size": WHOLE_NUMBER,
                    "extensions": {"type": "array", "items": TEXT},
                }
            ),
            "expires": _TIME_OR_NULL,
        }
    ),
    "FileForm": {
        "type": "object",
        "properties": {
            "expires": {**_EXPIRY, "description": "When the file expires; before the file."},
            "file": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
        "required": ["file"],
    },
    "Health": record({"status": {"const": "ok"}}),
    "Problem": record(
        {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "code": TEXT,
            "detail": TEXT,
            "request-id": {"type": "string", "description": "That of `X-Request-Id`."},
        }
    )
    | {"description": "A problem as RFC 9457 has it, with a code that never changes."},
}

MEMBERS: dict[str, Schema] = {
    "address": {"type": "string", "description": "The path that takes the method."},
    "algorithm": TEXT,
    "allowed": {"type": "array", "items": TEXT},
    "argument": TEXT,
    "available": WHOLE_NUMBER,
    "dialect": TEXT,
    "expected": TEXT,
    "expected-offset": WHOLE_NUMBER,
    "extension": TEXT,
    "filename": TEXT,
    "found": TEXT,
    "host": TEXT,
    "id": {"type": "string", "description": "Occurs in the log of the service."},
    "known": {"type": "array", "items": TEXT},
    "length": WHOLE_NUMBER,
    "limit": WHOLE_NUMBER,
    "member": TEXT,
    "method": TEXT,
    "offset": WHOLE_NUMBER,
    "provided-offset": WHOLE_NUMBER,
    "reason": {"type": "string", "description": "What the command of ON_STAGED has written."},
    "resource": TEXT,
    "risk": {"enum": [risk.value for risk in ContentRisk]},
    "signature": TEXT,
    "size": WHOLE_NUMBER,
    "used": WHOLE_NUMBER,
}
"""The members that problems have beside those of `Problem`; not every problem of a code has all."""
