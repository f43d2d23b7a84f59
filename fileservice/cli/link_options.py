"""The options that say what a link gives, of `fileservice link make` and `fileservice share`."""

from collections.abc import Callable, Mapping
from typing import Any, TextIO, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--upload-prefix", metavar="TEXT", help="Guests upload files whose names begin so."
    ),
    click.option("--files", type=int, help="How many files guests may have stored."),
    click.option("--bytes", "size", metavar="SIZE", help="How much they may have stored, as 1GiB."),
    click.option("--uses", type=int, help="How often the file may be fetched."),
    click.option("--expires", metavar="DURATION", help="When the link ends, such as 7d or 12h."),
    click.option("--note", metavar="TEXT", help="What the link is for; only makers see it."),
    click.option(
        "--password-file",
        type=click.File(encoding="utf-8"),
        help="A file with the password of the link in its first line; - for standard input.",
    ),
)


def with_terms(command: _Command) -> _Command:
    """Give a command the argument NAME and the options for the terms of a link."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("name", required=False)(command)


def given_terms(options: Mapping[str, Any]) -> dict[str, object]:
    """Return the terms that were given, as POST /links has them."""
    upload = {
        "prefix": options["upload_prefix"],
        "files": options["files"],
        "bytes": options["size"],
    }
    password: TextIO | None = options["password_file"]
    terms: dict[str, object | None] = {
        "name": options["name"],
        "upload": {key: value for key, value in upload.items() if value is not None} or None,
        "uses": options["uses"],
        "expires": options["expires"],
        "note": options["note"],
        "password": password.readline().rstrip("\r\n") if password else None,
    }
    return {key: value for key, value in terms.items() if value is not None}
