"""The header fields of tus 1.0.0 (https://tus.io/protocols/resumable-upload), read strictly.

FieldError
├── BadField           a field is missing, or is not what the protocol has it be
├── BadMetadata        Upload-Metadata
└── BadChecksum        Upload-Checksum

UnsupportedVersion           the request speaks another version of tus, or none
ChecksumMismatch       the bytes are not those that Upload-Checksum is of
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
_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")  # ASCII without spaces and commas


def number(headers: Fields, field: str) -> int | None:
    """The value of a field that is a whole number, None where there is none. Raises BadField."""
    value = headers.get(field)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise BadField(f"{field} must be a whole number of bytes, written in digits")
    return int(value)


def offset(headers: Fields) -> int:
    """The value of Upload-Offset. Raises BadField."""
    found = number(headers, "Upload-Offset")
    if found is None:
        raise BadField("Upload-Offset is missing")
    return found


def length(headers: Fields) -> int | None:
    """The length that a new upload declares; None if it is deferred. Raises BadField."""
    declared, defer = number(headers, "Upload-Length"), headers.get("Upload-Defer-Length")
    if defer not in (None, "1"):
        raise BadField("Upload-Defer-Length can only be 1")
    if (declared is None) == (defer is None):
        raise BadField("either Upload-Length or Upload-Defer-Length: 1 is needed, and not both")
    return declared


def metadata(headers: Fields) -> dict[str, bytes]:
    """What Upload-Metadata says. Raises BadMetadata."""
    found: dict[str, bytes] = {}
    text = headers.get("Upload-Metadata") or ""
    for pair in text.split(",") if text else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise BadMetadata("Upload-Metadata: a key is missing, not ASCII, or there twice")
        try:
            found[key] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise BadMetadata(f"Upload-Metadata: the value of {key!r} is not base64") from None
    return found


def parts(headers: Fields) -> tuple[str, ...] | None:
    """What Upload-Concat says: the ids of a final upload's parts, () of a part itself.

    None for an upload that is neither. Raises BadField.
    """
    value = headers.get("Upload-Concat")
    if value is None:
        return None
    kind, separator, urls = value.partition(";")
    if kind == "partial" and not separator:
        return ()
    ids = tuple(_id(url) for url in urls.split())
    if kind != "final" or not ids:
        raise BadField("Upload-Concat must be `partial` or `final;URL URL…`")
    return ids


def _id(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote_to_bytes(path.rpartition(PREFIX)[2]).decode("latin-1")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What Upload-Checksum declares of one request's bytes."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, headers: Fields) -> "Checksum | None":
        """None where there is no such field. Raises BadChecksum."""
        value = headers.get("Upload-Checksum")
        if value is None:
            return None
        algorithm, _, encoded = value.partition(" ")
        if algorithm not in CHECKSUMS:
            raise BadChecksum(f"Upload-Checksum: known are {', '.join(CHECKSUMS)}")
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise BadChecksum("Upload-Checksum: the digest is not base64") from None
        due = hashlib.new(algorithm, usedforsecurity=False).digest_size
        if len(digest) != due:
            raise BadChecksum(
                f"Upload-Checksum: a digest of {algorithm} has {due} bytes, this one {len(digest)}"
            )
        return cls(algorithm, digest)
