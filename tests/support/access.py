"""ACCESS_FILE, edited as an operator edits it, and the credentials of the tokens in it."""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Rights:
    """What a token may do."""

    scopes: frozenset[str]
    prefix: str = ""
    expired: bool = False


class EditedAccessFile:
    """The file at `path`; each change replaces it by rename."""

    def __init__(self, path: Path, *, secrets_of: "EditedAccessFile | None" = None) -> None:
        """With `secrets_of`, tokens have the same secrets as those of the same names there."""
        self.path = path
        self._secrets: dict[str, str] = secrets_of._secrets if secrets_of else {}
        self._tokens: dict[str, Rights] = {}
        self._people: dict[str, dict[str, frozenset[str]]] = {"users": {}, "groups": {}}
        self._write()

    def set(
        self, name: str, scopes: Iterable[str] | str, prefix: str = "", *, expired: bool = False
    ) -> dict[str, str]:
        """Add or change a token, whose secret stays, and return the field that shows it.

        `scopes` may be one text, in which commas separate them.
        """
        if isinstance(scopes, str):
            scopes = filter(None, scopes.split(","))
        self._tokens[name] = Rights(frozenset(scopes), prefix, expired)
        self._write()
        return self.credentials(name)

    def set_all(self, tokens: dict[str, Rights]) -> None:
        """Replace all tokens at once."""
        self._tokens = dict(tokens)
        self._write()

    def set_people(
        self, users: dict[str, frozenset[str]], groups: dict[str, frozenset[str]]
    ) -> None:
        """Replace all people and groups, whose scopes these are."""
        self._people = {"users": users, "groups": groups}
        self._write()

    def revoke(self, name: str) -> None:
        del self._tokens[name]
        self._write()

    def forget_secret(self, name: str) -> None:
        """Give the token another secret when it is set the next time."""
        del self._secrets[name]

    def secret(self, name: str) -> str:
        return self._secrets.setdefault(name, f"fs_{secrets.token_urlsafe(32)}")

    def credentials(self, name: str) -> dict[str, str]:
        """Return the field that shows a token, revoked or not."""
        return {"Authorization": f"Bearer {self.secret(name)}"}

    def _write(self) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        lines = []
        for name, rights in self._tokens.items():
            digest = hashlib.sha256(self.secret(name).encode()).hexdigest()
            lines += [
                f"[tokens.{json.dumps(name)}]",
                f'hash = "sha256:{digest}"',
                f"scopes = {json.dumps(sorted(rights.scopes))}",
                f"expires = {(now - AN_HOUR if rights.expired else now + AN_HOUR).isoformat()}",
            ]
            if rights.prefix:
                lines.append(f"prefix = {json.dumps(rights.prefix, ensure_ascii=False)}")
        for section, scopes_of in self._people.items():
            for name, scopes in scopes_of.items():
                lines += [
                    f"[{section}.{json.dumps(name)}]",
                    f"scopes = {json.dumps(sorted(scopes))}",
                ]
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.path)
