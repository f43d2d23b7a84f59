"""The fields of RFC 9530: Repr-Digest and Content-Digest."""

import base64
import binascii
import re

from fileservice.protocols.errors import BadDigestHeader
from fileservice.protocols.fields import Fields

_LENGTHS = {"sha-256": 32, "sha-512": 64}
_MEMBER = re.compile(
    r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*)?\s*"  # RFC 9651 section 3.2
)


def parse_digests(field: str, value: str | None) -> dict[str, bytes]:
    """The digests by algorithm that `value` declares, of the algorithms that can be verified.

    Others are ignored, as RFC 9530 section 2 asks. Raises BadDigestHeader.
    """
    found = {}
    for member in value.split(",") if value else ():
        match = _MEMBER.fullmatch(member)
        if not match:
            raise BadDigestHeader(f"{field} must have the form sha-256=:<base64>:")
        algorithm, encoded = match.groups()
        try:
            digest = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise BadDigestHeader(f"{field}: the {algorithm} digest is not base64") from None
        if algorithm in _LENGTHS:
            if len(digest) != _LENGTHS[algorithm]:
                raise BadDigestHeader(
                    f"{field}: a {algorithm} digest has {_LENGTHS[algorithm]} bytes,"
                    f" this one has {len(digest)}"
                )
            found[algorithm] = digest
    return found


def repr_digest(sha256: bytes | None) -> str | None:
    """The value of Repr-Digest for a file with this digest; None where that is unknown."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:" if sha256 else None


def declared_digests(headers: Fields) -> dict[str, bytes]:
    """All digests that a request declares of its body. Raises BadDigestHeader."""
    declared: dict[str, bytes] = {}
    for field in ("Repr-Digest", "Content-Digest"):
        for algorithm, digest in parse_digests(field, headers.get(field)).items():
            if declared.setdefault(algorithm, digest) != digest:
                raise BadDigestHeader("Repr-Digest and Content-Digest contradict each other")
    return declared
