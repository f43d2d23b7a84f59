"""The parser of ACCESS_FILE: text in TOML, rules out, all mistakes reported together.

A message names the table and the key, and never contains a value that may be a secret.
"""

import difflib
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from fileservice.access.errors import AccessFileError
from fileservice.access.principals import UNLIMITED, Quota
from fileservice.access.rules import AccessRules, Grant, Token
from fileservice.access.scopes import Scope
from fileservice.names import BadName, FileName
from fileservice.quantities import MAX_SIZE, parse_size

_T = TypeVar("_T")
_HASH = re.compile("sha256:([0-9a-f]{64})")
_TOKEN_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_MAX_NAME = 255
_END_OF_DATES = 253_402_300_800.0
"""The end of the year 9999, after which there are no dates in Python, in seconds since 1970."""
_QUOTA_EXAMPLE = '{ bytes = "10GiB", files = 1000 }'

_KEYS = {
    "tokens": ("hash", "scopes", "prefix", "expires", "quota"),
    "users": ("scopes", "quota"),
    "groups": ("scopes",),
}


def parse_rules(text: str) -> AccessRules:
    """Parse the text of ACCESS_FILE. Raise AccessFileError with all mistakes."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also for a number of thousands of digits
        raise AccessFileError([f"it is not TOML: {error}"]) from None
    return _Parser().parse(document)


def check_token_name(name: str) -> None:
    """Raise ValueError if this cannot be the name of a token."""
    if not _TOKEN_NAME.fullmatch(name):
        raise ValueError(
            "a name has 1 to 64 letters, digits, dots, hyphens and underscores of ASCII,"
            " and begins with a letter or digit"
        )


def parse_prefix(text: object) -> str:
    """Return a prefix in NFC, as names of files are. Raise ValueError if no name can have it."""
    if not isinstance(text, str):
        raise ValueError("must be a text")
    prefix = unicodedata.normalize("NFC", text)
    try:
        FileName.parse(f"{prefix}a.txt")
    except BadName as error:
        raise ValueError(f"no file can have a name that begins so: {error}") from None
    return prefix


class _Parser:
    """Collects the mistakes of one file."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def parse(self, document: Mapping[str, Any]) -> AccessRules:
        self._check_keys("", document, _KEYS)
        rules = AccessRules(
            tokens={
                name: self._token(where, name, table)
                for where, name, table in self._tables(document, "tokens", check_token_name)
            },
            users={
                name: self._grant(where, table)
                for where, name, table in self._tables(document, "users", _check_name)
            },
            groups={
                name: self._grant(where, table)
                for where, name, table in self._tables(document, "groups", _check_name)
            },
        )
        self._check_digests(rules.tokens.values())
        if self._problems:
            raise AccessFileError(self._problems)
        return rules

    def _tables(
        self, document: Mapping[str, Any], section: str, check: Callable[[str], None]
    ) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield how messages name a table of the section, its name, and the table itself."""
        tables = document.get(section, {})
        if not isinstance(tables, dict):
            self._problems.append(f"{section}: must have tables such as [{section}.NAME]")
            return
        for name, table in tables.items():
            where = f"[{section}.{_quoted(name)}]"
            try:
                check(name)
            except ValueError as error:
                self._problems.append(f"{where}: {error}")
            if isinstance(table, dict):
                self._check_keys(where, table, _KEYS[section])
                yield where, name, table
            else:
                self._problems.append(f"{where}: must be a table")

    def _check_keys(self, where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
        for key in table:
            if key in known:
                continue
            sections = [section for section, keys in _KEYS.items() if where and key in keys]
            similar = difflib.get_close_matches(key, known, n=1)
            hint = f"; only {' and '.join(sections)} have one" if sections else ""
            hint = hint or (f"; did you mean {similar[0]}?" if similar else "")
            subject = f"{where} {_quoted(key)}" if where else f"[{_quoted(key)}]"
            self._problems.append(
                f"{subject}: there is no such {'key' if where else 'table'}{hint}"
            )

    def _token(self, where: str, name: str, table: Mapping[str, Any]) -> Token:
        return Token(
            name,
            digest=self._value(where, table, "hash", _parse_hash, b"", required=True),
            scopes=self._scopes(where, table),
            prefix=self._value(where, table, "prefix", parse_prefix, ""),
            expires=self._value(where, table, "expires", _parse_expires, float("inf")),
            quota=self._quota(where, table),
        )

    def _grant(self, where: str, table: Mapping[str, Any]) -> Grant:
        return Grant(self._scopes(where, table), self._quota(where, table))

    def _scopes(self, where: str, table: Mapping[str, Any]) -> frozenset[Scope]:
        empty = frozenset[Scope]()
        return self._value(where, table, "scopes", _parse_scopes, empty, required=True)

    def _quota(self, where: str, table: Mapping[str, Any]) -> Quota:
        quota = table.get("quota", {})
        if not isinstance(quota, dict):
            self._problems.append(f"{where} quota: must be such as {_QUOTA_EXAMPLE}")
            return UNLIMITED
        where = f"{where} quota"
        self._check_keys(where, quota, ("bytes", "files"))
        return Quota(
            bytes=self._value(where, quota, "bytes", _parse_bytes, None),
            files=self._value(where, quota, "files", _parse_number, None),
        )

    def _value(
        self,
        where: str,
        table: Mapping[str, Any],
        key: str,
        parse: Callable[[Any], _T],
        default: _T,
        *,
        required: bool = False,
    ) -> _T:
        if key not in table:
            if required:
                self._problems.append(f"{where} {key}: is missing")
            return default
        try:
            return parse(table[key])
        except ValueError as error:
            self._problems.append(f"{where} {key}: {error}")
            return default

    def _check_digests(self, tokens: Iterable[Token]) -> None:
        names: dict[bytes, str] = {}
        for token in tokens:
            first = names.setdefault(token.digest, token.name) if token.digest else token.name
            if first != token.name:
                self._problems.append(
                    f"[tokens.{_quoted(token.name)}] hash: is that of [tokens.{_quoted(first)}]"
                )


def _check_name(name: str) -> None:
    if not (0 < len(name) <= _MAX_NAME and name.isprintable() and name == name.strip()):
        raise ValueError(
            f"a name has 1 to {_MAX_NAME} printable characters, without a space at either end"
        )


def _parse_hash(value: object) -> bytes:
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(
            "must be sha256: and 64 hexadecimal digits, as fileservice token new makes it"
        )
    return bytes.fromhex(match[1])


def _parse_scopes(value: object) -> frozenset[Scope]:
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        raise ValueError('must be a list such as ["list", "read"]')
    unknown = [scope for scope in value if scope not in tuple(Scope)]
    if unknown:
        similar = difflib.get_close_matches(unknown[0], tuple(Scope), n=1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise ValueError(
            f"{', '.join(map(repr, unknown))}: the scopes are {', '.join(Scope)}{hint}"
        )
    return frozenset(map(Scope, value))


def _parse_expires(value: object) -> float:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(
            "must be a date and time with an offset, without quotation marks, such as"
            " 2027-01-01T00:00:00Z"
        )
    seconds = value.timestamp()
    if seconds >= _END_OF_DATES:  # in UTC, which the offset and rounding may lead to
        raise ValueError("must be before the year 10000 in UTC")
    return seconds


def _parse_bytes(value: object) -> int:
    return parse_size(value) if isinstance(value, str) else _parse_number(value)


def _parse_number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a whole number, 0 or above")
    if value > MAX_SIZE:
        raise ValueError("must be less than 2^63")
    return value


def _quoted(key: str) -> str:
    """Return a key as it is written in TOML."""
    return key if re.fullmatch("[A-Za-z0-9_-]+", key, re.ASCII) else json.dumps(key)
