"""Signed texts: values that a browser keeps for the service and cannot change."""

import hashlib
from functools import lru_cache

from itsdangerous import URLSafeSerializer


@lru_cache(maxsize=16)
def serializer(secret_key: bytes, purpose: str) -> URLSafeSerializer:
    """Return what signs values for one purpose, so that they are invalid for any other.

    The key of a purpose is HMAC-SHA256(secret_key, purpose); signatures are HMAC-SHA256 as well.
    """
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret_key, f"fileservice {purpose}", signer_kwargs=options)
