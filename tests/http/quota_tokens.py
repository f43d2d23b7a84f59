"""Tokens with a quota."""

import hashlib

KIB = 1024
TOKENS = 40
ADMIN = "fs_" + "a" * 43


def secret(number: int) -> str:
    return f"fs_{number:043}"


def access_file(quota: str) -> str:
    """Return an ACCESS_FILE with many tokens that have this quota, and one that has none."""
    scopes = '["list", "read", "write", "delete"]'
    text = ""
    for name, shown, rest in (
        *((f"t{n}", secret(n), f"quota = {{ {quota} }}") for n in range(TOKENS)),
        ("admin", ADMIN, ""),
    ):
        digest = hashlib.sha256(shown.encode()).hexdigest()
        text += f'[tokens.{name}]\nhash = "sha256:{digest}"\nscopes = {scopes}\n{rest}\n'
    return text
