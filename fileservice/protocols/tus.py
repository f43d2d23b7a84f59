"""The header fields of tus 1.0.0 (https://tus.io/protocols/resumable-upload), parsed strictly.

Sections named here are those of that document.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from fileservice.protocols.errors import BadChecksum, BadField, BadMetadata
from fileservice.protocols.fields import Fields

PREFIX = "/tus/"
VERSION = "1.0.0"
CONTENT_TYPE = "application/offset+octet-stream"
CHECKSUMS = ("md5", "sha1", "sha256")
_INTEGER = re.compile(r"[0-9]{1,18}")
_METADATA_KEY = re.compile(r"[!-+\--~]+")  # printable ASCII without spaces and commas


def is_below_prefix(path: str) -> bool:
    """Return whether tus is spoken at a path, which may be the prefix without its last slash."""
    return f"{path}/".startswith(PREFIX)


def number(headers: Fields, field: str) -> int | None:
    """Return the value of a field that is a non-negative integer; None if there is no such field.

    Raises BadField.
    """
    value = headers.get(field)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value):
        raise BadField(f"{field} must be a whole number of bytes, written in at most 18 digits")
    return int(value)


def offset(headers: Fields) -> int:
    """Return the value of Upload-Offset in bytes. Raises BadField if it is missing or invalid."""
    value = number(headers, "Upload-Offset")
    if value is None:
        raise BadField("Upload-Offset is missing")
    return value


def length(headers: Fields) -> int | None:
    """Return the length in bytes that a new upload declares; None if it is deferred.

    See the section "Creation". Raises BadField.
    """
    declared, deferred = number(headers, "Upload-Length"), headers.get("Upload-Defer-Length")
    if deferred not in (None, "1"):
        raise BadField("Upload-Defer-Length must be 1")
    if (declared is None) == (deferred is None):
        raise BadField("send either Upload-Length or Upload-Defer-Length: 1, and not both")
    return declared


def metadata(headers: Fields) -> dict[str, bytes]:
    """Return the decoded values of Upload-Metadata by key; an empty one for a key without a value.

    See the section "Upload-Metadata". Raises BadMetadata.
    """
    values: dict[str, bytes] = {}
    text = headers.get("Upload-Metadata") or ""
    for pair in text.split(",") if text else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        if not _METADATA_KEY.fullmatch(key):
            raise BadMetadata("Upload-Metadata: a key is empty or not printable ASCII")
        if key in values:
            raise BadMetadata(f"Upload-Metadata: the key {key!r} occurs more than once")
        try:
            values[key] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise BadMetadata(f"Upload-Metadata: the value of {key!r} is not base64") from None
    return values


def parts(headers: Fields) -> tuple[str, ...] | None:
    """Return the ids of the partial uploads that Upload-Concat names, in their order.

    An empty tuple stands for a partial upload itself, None for an upload that is neither partial
    nor final. See the section "Concatenation". Raises BadField.
    """
    value = headers.get("Upload-Concat")
    if value is None:
        return None
    kind, separator, urls = value.partition(";")
    if kind == "partial" and not separator:
        return ()
    ids = tuple(_upload_id(url) for url in urls.split())
    if kind != "final" or not ids:
        raise BadField("Upload-Concat must be `partial` or `final;URL URL…`")
    return ids


def _upload_id(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""  # no upload has this id
    return unquote_to_bytes(path.rpartition(PREFIX)[2]).decode("latin-1")


@dataclass(frozen=True, slots=True)
class Checksum:
    """The digest that Upload-Checksum declares for the body of one request.

    `algorithm` is a name in CHECKSUMS and in `hashlib`. See the section "Checksum".
    """

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, headers: Fields) -> "Checksum | None":
        """Return the checksum; None if there is no Upload-Checksum. Raises BadChecksum."""
        value = headers.get("Upload-Checksum")
        if value is None:
            return None
        algorithm, _, encoded = value.partition(" ")
        if algorithm not in CHECKSUMS:
            raise BadChecksum(
                f"Upload-Checksum: the algorithm must be one of {', '.join(CHECKSUMS)}"
            )
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise BadChecksum("Upload-Checksum: the digest is not base64") from None
        size = hashlib.new(algorithm, usedforsecurity=False).digest_size
        if len(digest) != size:
            raise BadChecksum(
                f"Upload-Checksum: a {algorithm} digest has {size} bytes,"
                f" this one has {len(digest)}"
            )
        return cls(algorithm, digest)
