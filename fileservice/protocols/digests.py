"""The digest fields Content-Digest and Repr-Digest (RFC 9530 sections 2 and 3)."""

import base64
import binascii
import re

from fileservice.protocols.errors import BadDigestHeader
from fileservice.protocols.fields import Fields

_DIGEST_SIZES = {"sha-256": 32, "sha-512": 64}
"""The algorithms that can be verified (RFC 9530 section 7.2), with the bytes of their digests."""
_MEMBER = re.compile(
    r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*)?[ \t]*"  # RFC 9651 section 3.2
)


def parse_digests(field: str, value: str | None) -> dict[str, bytes]:
    """Return the digests in a field's value by algorithm; none if `value` is None or empty.

    Algorithms that cannot be verified are ignored, as RFC 9530 section 2 permits. `field` is the
    name of the field, for the error. Raises BadDigestHeader.
    """
    digests = {}
    for member in value.split(",") if value else ():
        match = _MEMBER.fullmatch(member)
        if not match:
            raise BadDigestHeader(f"{field} must have the form sha-256=:<base64>:")
        algorithm, encoded = match.groups()
        try:
            digest = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise BadDigestHeader(f"{field}: the {algorithm} digest is not base64") from None
        if algorithm in _DIGEST_SIZES:
            if len(digest) != _DIGEST_SIZES[algorithm]:
                raise BadDigestHeader(
                    f"{field}: a {algorithm} digest has {_DIGEST_SIZES[algorithm]} bytes,"
                    f" this one has {len(digest)}"
                )
            digests[algorithm] = digest
    return digests


def declared_digests(headers: Fields) -> dict[str, bytes]:
    """Return the digests that either field declares for the body. Raises BadDigestHeader."""
    declared: dict[str, bytes] = {}
    for field in ("Repr-Digest", "Content-Digest"):
        for algorithm, digest in parse_digests(field, headers.get(field)).items():
            if declared.setdefault(algorithm, digest) != digest:
                raise BadDigestHeader("Repr-Digest and Content-Digest contradict each other")
    return declared


def repr_digest(sha256: bytes | None) -> str | None:
    """Return the value of Repr-Digest for a file with this SHA-256; None if it is unknown."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:" if sha256 else None


def digest_of(headers: Fields) -> bytes | None:
    """Return the SHA-256 in Repr-Digest; None if there is none. Raises BadDigestHeader."""
    return parse_digests("Repr-Digest", headers.get("Repr-Digest")).get("sha-256")
