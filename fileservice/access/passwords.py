"""Passwords that people choose, kept as scrypt hashes (RFC 7914)."""

import hashlib
import hmac
import re
import secrets
import unicodedata

_COST, _BLOCK_SIZE, _PARALLELISM = 1 << 14, 8, 1
"""One hash takes 16 MiB (128 * cost * block size bytes) and about 50 ms."""
_MEMORY = 32 << 20
"""Bytes that one hash may take, which OpenSSL wants to know."""
_SALT_SIZE = 16
_MAX_LENGTH = 1024
"""Characters; a longer text is not a password."""
_FORMAT = re.compile(r"scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3}):([0-9a-f]{32}):([0-9a-f]{64})")


def hash_password(password: str) -> str:
    """Return the text that is kept of a password. Computes for long.

    Raise ValueError if it is empty or too long.
    """
    if not 0 < len(password) <= _MAX_LENGTH:
        raise ValueError(f"a password has 1 to {_MAX_LENGTH} characters")
    salt = secrets.token_bytes(_SALT_SIZE)
    digest = _scrypt(password, salt, _COST, _BLOCK_SIZE, _PARALLELISM)
    return f"scrypt:{_COST}:{_BLOCK_SIZE}:{_PARALLELISM}:{salt.hex()}:{digest.hex()}"


def is_password(password: str, kept: str) -> bool:
    """Return whether `kept` is what was kept of this password. Computes for long.

    No password fits a text that is not of `hash_password`.
    """
    match = _FORMAT.fullmatch(kept)
    if not match or len(password) > _MAX_LENGTH:
        return False
    cost, block_size, parallelism = (int(number) for number in match.group(1, 2, 3))
    try:
        digest = _scrypt(password, bytes.fromhex(match[4]), cost, block_size, parallelism)
    except ValueError:
        return False  # nothing that was kept has such parameters
    return hmac.compare_digest(digest, bytes.fromhex(match[5]))


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallelism: int) -> bytes:
    # One character may be typed in several ways, which are the same in NFKC (RFC 8265).
    data = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        data, salt=salt, n=cost, r=block_size, p=parallelism, maxmem=_MEMORY, dklen=32
    )
