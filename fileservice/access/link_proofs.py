"""Proofs: what a browser keeps, or sends with the secret, once the password of a link was given."""

import hmac

from fileservice.access.links import Link
from fileservice.access.signing import serializer

_PURPOSE = "link proof 1"


def proof_of(link: Link, secret_key: bytes) -> str:
    """Return what proves that the password of a link was given, 43 characters of base64url.

    It is a signature (HMAC-SHA256), and another one when the password or the secret key changes.
    """
    signer = serializer(secret_key, _PURPOSE).make_signer()
    return signer.get_signature(f"{link.id} {link.password}").decode("ascii")


def is_proof(text: str, link: Link, secret_key: bytes) -> bool:
    """Return whether this is the proof for the link."""
    return hmac.compare_digest(text.encode(), proof_of(link, secret_key).encode())
