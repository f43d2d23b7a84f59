"""What the service says of a stored file: its JSON record, and the fields of its headers."""

import re
from datetime import UTC, datetime
from urllib.parse import quote

from flask import Response, jsonify

from fileservice.names import FileName
from fileservice.protocols.conditional import Validators
from fileservice.protocols.digests import repr_digest
from fileservice.storage import StoredFile
from fileservice.web.security_headers import JSON_HEADERS
from fileservice.web.service import download_url


def record(file: StoredFile, base: str) -> dict[str, str | int | None]:
    """The JSON record of a file whose service is reached at `base`."""
    modified = datetime.fromtimestamp(file.modified, UTC)
    return {
        "filename": file.name,
        "url": download_url(base, file.name),
        "size": file.size,
        "type": file.content.media_type,
        "modified": modified.isoformat().replace("+00:00", "Z"),
        "digest": repr_digest(file.content.sha256),
    }


def stored(file: StoredFile, base: str, *, created: bool) -> Response:
    """The answer to an upload: 201, or 200 if an earlier one had stored the file."""
    response = jsonify(record(file, base))
    response.status_code = 201 if created else 200
    response.headers.update(JSON_HEADERS | representation_headers(file))
    response.headers["Location"] = download_url(base, file.name)
    return response


def etag(file: StoredFile) -> str:
    """A strong entity tag (RFC 9110 section 8.8.3)."""
    return f'"{file.version}"'


def content_type(file: StoredFile) -> str:
    """The value of Content-Type."""
    charset = file.content.charset
    return f"{file.content.media_type}; charset={charset}" if charset else file.content.media_type


def content_disposition(kind: str, name: FileName) -> str:
    """The value of Content-Disposition: the name in ASCII, and as it is (RFC 6266 section 4.3).

    The ASCII form is for clients that know no other, curl among them; where a character has none,
    or is one that clients read differently (appendix D), there is an underscore.
    """
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def representation_headers(file: StoredFile) -> dict[str, str]:
    """ETag, and Repr-Digest where the digest is known."""
    digest = repr_digest(file.content.sha256)
    return {"ETag": etag(file)} | ({"Repr-Digest": digest} if digest else {})


def validators(file: StoredFile) -> Validators:
    """What conditions are held against."""
    return Validators(etag=etag(file), modified=file.modified)
