"""The header fields by which a trusted proxy names the person who makes a request."""

from collections.abc import Mapping
from typing import Any

from fileservice.access import Identity
from fileservice.web.requests import has_trusted_peer


class IdentityFields:
    """Reads these fields, in requests from trusted proxies only: anybody else may invent them."""

    def __init__(self, name_field: str | None, groups_field: str | None = None) -> None:
        """Without a `name_field` no request names a person. Field names have no underscores."""
        self.names = tuple(field for field in (name_field, groups_field) if field)
        self._name_key = _key(name_field)
        self._groups_key = _key(groups_field)

    def read(self, environ: Mapping[str, Any]) -> Identity | None:
        """Return who makes the request; None if no trusted proxy says so. Raise InvalidIdentity."""
        if self._name_key is None or not has_trusted_peer(environ):
            return None
        name: str = environ.get(self._name_key, "")
        groups: str = environ.get(self._groups_key, "") if self._groups_key else ""
        return Identity.parse(name.encode("latin-1"), groups.encode("latin-1"))

    def are_in(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a trusted proxy has sent the field with the name, whatever it says."""
        return self._name_key in environ and has_trusted_peer(environ)


def _key(field: str | None) -> str | None:
    return f"HTTP_{field.upper().replace('-', '_')}" if field else None
