"""Rules for the tests of this package."""

import hashlib
import textwrap

from fileservice.access import AccessRules, parse_rules

SECRET = "fs_" + "s" * 43


def hash_of(secret: str) -> str:
    """Return the hash of a secret, as ACCESS_FILE has it."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def token(name: str = "ci", secret: str = SECRET, scopes: str = '["read"]', rest: str = "") -> str:
    """Return the table of a token."""
    return f'[tokens.{name}]\nhash = "{hash_of(secret)}"\nscopes = {scopes}\n{rest}\n'


def rules(text: str) -> AccessRules:
    """Parse rules that may be indented."""
    return parse_rules(textwrap.dedent(text))
