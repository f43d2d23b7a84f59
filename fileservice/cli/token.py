"""`fileservice token`: make, list and revoke tokens."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from fileservice.access import (
    AccessFileError,
    Quota,
    Scope,
    Token,
    check_token_name,
    parse_prefix,
    read_rules,
)
from fileservice.cli.access_edit import EditError, add_token, remove_token
from fileservice.cli.output import write_result, write_table
from fileservice.cli.parameters import parsed_by
from fileservice.quantities import MAX_SIZE, format_size, parse_duration, parse_size

_SECRET_PREFIX = "fs_"  # noqa: S105  # the same for all secrets
"""By which people and programs that look for leaked secrets recognise one."""
_SECRET_BYTES = 32
_ACCESS_FILE = click.option(
    "--access-file",
    type=click.Path(path_type=Path),
    envvar="FILESERVICE_ACCESS_FILE",
    show_envvar=True,
    required=True,
    help="The file that names the tokens.",
)


def _parse_scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(element.strip()) for element in text.split(","))
    except ValueError:
        raise ValueError(f"must be of {', '.join(Scope)}, separated by commas") from None


def _parse_expires(text: str) -> datetime:
    try:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=parse_duration(text))
    except OverflowError:
        raise ValueError("must end before the year 10000") from None


def _parse_name(text: str) -> str:
    check_token_name(text)
    return text


@click.group()
def token() -> None:
    """Make, list and revoke tokens.

    A running service uses a changed file within a second or two, without a restart.
    """


@token.command()
@click.argument("name", callback=parsed_by(_parse_name))
@click.option(
    "--scopes",
    callback=parsed_by(_parse_scopes),
    metavar="SCOPES",
    required=True,
    help=f"What the token may do: {', '.join(Scope)}, separated by commas.",
)
@click.option(
    "--prefix",
    callback=parsed_by(parse_prefix),
    metavar="TEXT",
    default="",
    help="The token is only for files whose names begin so.",
)
@click.option(
    "--expires",
    callback=parsed_by(_parse_expires),
    metavar="DURATION",
    help="How long the token is valid, such as 90d or 12h.  [default: until it is revoked]",
)
@click.option(
    "--quota",
    callback=parsed_by(parse_size),
    metavar="SIZE",
    help="How much it may have stored, such as 10GiB.",
)
@click.option(
    "--quota-files", type=click.IntRange(0, MAX_SIZE), help="How many files it may have stored."
)
@_ACCESS_FILE
def new(
    name: str,
    scopes: frozenset[Scope],
    prefix: str,
    expires: datetime | None,
    quota: int | None,
    quota_files: int | None,
    access_file: Path,
) -> None:
    """Make the token NAME and write its secret to standard output.

    The secret is shown this once: the file has only its hash.
    """
    secret = _SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    made = Token(
        name,
        digest=hashlib.sha256(secret.encode()).digest(),
        scopes=scopes,
        prefix=prefix,
        expires=expires.timestamp() if expires else float("inf"),
        quota=Quota(quota, quota_files),
    )
    with _errors_shown(access_file):
        is_new_file = add_token(access_file, made)
        try:
            if is_new_file:
                click.echo(f"Created {access_file}, which only this user may read.", err=True)
            click.echo(f"Added the token {name}. Its secret is shown only now:", err=True)
            write_result(secret)
        except OSError as error:
            remove_token(access_file, name)  # nobody could use it
            raise click.ClickException(
                f"the secret cannot be shown: {error.strerror}; the token was removed again"
            ) from None


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array of objects.")
@_ACCESS_FILE
def list_tokens(as_json: bool, access_file: Path) -> None:
    """List the tokens, without their secrets, which nobody knows."""
    with _errors_shown(access_file):
        tokens = read_rules(access_file).tokens.values()
    if as_json:
        click.echo(json.dumps([_to_json(one) for one in tokens], indent=2, ensure_ascii=False))
        return
    write_table([("NAME", "SCOPES", "PREFIX", "EXPIRES", "QUOTA"), *map(_to_row, tokens)])


@token.command()
@click.argument("name")
@_ACCESS_FILE
def revoke(name: str, access_file: Path) -> None:
    """Revoke the token NAME: remove it from the file."""
    with _errors_shown(access_file):
        remove_token(access_file, name)
    click.echo(f"Revoked the token {name}.", err=True)


@contextmanager
def _errors_shown(path: Path) -> Iterator[None]:
    """End the command with the status 1 and all problems, if there are any."""
    try:
        yield
    except AccessFileError as error:
        raise click.ClickException("\n".join(f"{path}: {p}" for p in error.problems)) from None
    except EditError as error:
        raise click.ClickException(f"{path}: {error}") from None


def _to_json(token: Token) -> dict[str, object]:
    return {
        "name": token.name,
        "scopes": _sorted(token.scopes),
        "prefix": token.prefix,
        "expires": _expiry(token) or None,
        "expired": _is_expired(token),
        "quota": {"bytes": token.quota.bytes, "files": token.quota.files},
    }


def _to_row(token: Token) -> tuple[str, ...]:
    quota = token.quota
    return (
        token.name,
        ",".join(_sorted(token.scopes)) or "-",
        token.prefix or "-",
        (_expiry(token) or "never") + (" (expired)" if _is_expired(token) else ""),
        ", ".join(
            ([] if quota.bytes is None else [format_size(quota.bytes)])
            + ([] if quota.files is None else [f"{quota.files} files"])
        )
        or "-",
    )


def _sorted(scopes: frozenset[Scope]) -> list[str]:
    return [str(scope) for scope in Scope if scope in scopes]


def _expiry(token: Token) -> str:
    if token.expires == float("inf"):
        return ""
    return datetime.fromtimestamp(token.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_expired(token: Token) -> bool:
    return token.expires <= datetime.now(UTC).timestamp()
