"""Edits of ACCESS_FILE: comments and order stay, and no edit of another command is lost."""

import fcntl
import io
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import tomlkit
from tomlkit.items import InlineTable

from fileservice.access import (
    AccessFileError,
    AccessRules,
    Quota,
    Scope,
    Token,
    parse_rules,
    read_text,
)
from fileservice.quantities import format_size

_BY_HAND = "the file has the form that this command cannot edit; edit it by hand"


class EditError(Exception):
    """The edit was not made; ``str(error)`` says why."""


def add_token(path: Path, token: Token) -> bool:
    """Add a token; return whether the file was created. Blocks.

    Raise EditError if there is a token of this name or the file cannot be written, and
    AccessFileError if it has mistakes.
    """

    def edit(text: str, rules: AccessRules) -> tuple[str, AccessRules]:
        if token.name in rules.tokens:
            raise EditError(f"there is a token {token.name} already; revoke it first")
        expected = replace(rules, tokens={**rules.tokens, token.name: token})
        return _with_table(text, token), expected

    return _edit(path, edit, may_create=True)


def remove_token(path: Path, name: str) -> None:
    """Remove a token, and the comments in its table before the last key. Blocks.

    Raise EditError if there is no such token or the file cannot be written, and AccessFileError if
    it has mistakes.
    """

    def edit(text: str, rules: AccessRules) -> tuple[str, AccessRules]:
        if name not in rules.tokens:
            raise EditError(f"there is no token {name}")
        others = {other: token for other, token in rules.tokens.items() if other != name}
        return _without_table(text, name), replace(rules, tokens=others)

    _edit(path, edit, may_create=False)


_Edit = Callable[[str, AccessRules], tuple[str, AccessRules]]


def _edit(path: Path, edit: _Edit, *, may_create: bool) -> bool:
    """Replace the file by what `edit` makes of it, and verify that it means what it should."""
    try:
        path = Path(os.path.realpath(path))  # a symbolic link stays one
        with _locked(path.parent):
            is_new = may_create and not os.path.lexists(path)
            before = "" if is_new else read_text(path)
            text, expected = edit(before, parse_rules(before))
            try:
                is_as_expected = parse_rules(text) == expected
            except AccessFileError:
                is_as_expected = False
            if not is_as_expected:
                raise EditError(_BY_HAND)
            _write(path, text, like=None if is_new else path.stat())
            return is_new
    except OSError as error:
        raise EditError(f"it cannot be edited: {error.strerror}") from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock the directory, since the file itself is replaced; other commands wait meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, text: str, like: os.stat_result | None) -> None:
    """Replace the file atomically; owner, mode and attributes are those of the one before."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # one that a killed command left
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            if like:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                for name in os.listxattr(path):
                    with suppress(PermissionError):  # some are the system's own
                        os.setxattr(file.fileno(), name, os.getxattr(path, name))
            os.fchmod(file.fileno(), like.st_mode & 0o7777 if like else 0o600)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _with_table(text: str, token: Token) -> str:
    """Return the text with the table of the token at its end."""
    table = tomlkit.table()
    table["hash"] = f"sha256:{token.digest.hex()}"
    table["scopes"] = [str(scope) for scope in Scope if scope in token.scopes]
    if token.prefix:
        table["prefix"] = token.prefix
    if token.expires != float("inf"):
        table["expires"] = datetime.fromtimestamp(token.expires, UTC)
    if token.quota != Quota():
        table["quota"] = _quota(token.quota)
    tokens = tomlkit.table(is_super_table=True)
    tokens[token.name] = table
    document = tomlkit.document()
    document["tokens"] = tokens
    end = "\r\n" if "\r\n" in text else "\n"
    separator = "" if not text else end if text.endswith("\n") else end * 2
    return text + separator + tomlkit.dumps(document).replace("\n", end)


def _quota(quota: Quota) -> InlineTable:
    table = tomlkit.inline_table()
    if quota.bytes is not None:
        table["bytes"] = format_size(quota.bytes)
    if quota.files is not None:
        table["files"] = quota.files
    return table


def _without_table(text: str, name: str) -> str:
    """Return the text without the table of the token of this name.

    tomlkit would remove the comments between the table and the next one as well, so the lines are
    removed here. It edits the other forms, such as inline tables.
    """
    kept: list[str] = []
    table: list[str] = []
    is_found = is_inside = False
    for line in io.StringIO(text, newline="\n"):
        if line.lstrip().startswith("["):
            kept += _trailing_comments(table)
            table = []
            is_inside = _header(line)[:2] == ["tokens", name]
            is_found |= is_inside
        (table if is_inside else kept).append(line)
    if is_found:
        return "".join(kept + _trailing_comments(table)).removeprefix("\n" * (not kept))
    document = tomlkit.parse(text)
    del document["tokens"][name]
    return tomlkit.dumps(document)


def _trailing_comments(table: list[str]) -> list[str]:
    """Return the lines after the last one that is neither empty nor a comment."""
    last = max((i for i, line in enumerate(table) if line.strip()[:1] not in ("", "#")), default=-1)
    return table[last + 1 :]


def _header(line: str) -> list[str]:
    """Return the keys in the header of a table; none if the line is something else."""
    keys = []
    try:
        found: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return []
    while isinstance(found, dict) and found:
        [(key, found)] = found.items()
        keys.append(key)
    return keys
