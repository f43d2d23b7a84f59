"""The stores that commands work on, and the errors of those."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fileservice.cli.exit_status import UNAVAILABLE
from fileservice.storage import (
    Busy,
    StorageError,
    StorageUnavailable,
    Store,
    check_url,
    describe_error,
    directory_of,
    open_store,
    user_name,
)

STORE_URL = click.option(
    "--store-url",
    envvar="FILESERVICE_STORE_URL",
    show_envvar=True,
    default="./data",
    show_default=True,
    help="The store of the service.",
)


def open_existing(url: str, hint: str = "--store-url") -> Store:
    """Open a store that exists: a wrong URL must not make a new one."""
    directory = _directory(url, hint)
    if directory:
        _check_directory(directory / ".fileservice")
    return open_store(url, fsync=True, verified=True)


def open_target(url: str, hint: str) -> Store:
    """Open a store, which is made unless it exists, and verify that it keeps what it must."""
    directory = _directory(url, hint)
    if directory and directory.exists() and any(directory.iterdir()):
        _check_directory(directory / ".fileservice")
    return open_store(url, fsync=True)


class _Unavailable(click.ClickException):
    exit_code = UNAVAILABLE


@contextmanager
def storage_errors_shown() -> Iterator[None]:
    """End the command with a sentence if there is an error, and a status that says if to retry."""
    try:
        yield
    except StorageError as error:
        if isinstance(error, (StorageUnavailable, Busy)):
            raise _Unavailable(describe_error(error)) from None
        raise click.ClickException(describe_error(error)) from None


def _directory(url: str, hint: str) -> Path | None:
    try:
        check_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=hint) from None
    return directory_of(url)


def _check_directory(private: Path) -> None:
    """Raise ClickException if this is not what the service keeps for itself, or of another user.

    The service could not read a link in a file that belongs to another user.
    """
    try:
        owner = private.stat().st_uid
    except OSError:
        raise click.ClickException(f"{private.parent} is not the directory of a service") from None
    if owner != os.geteuid():
        raise click.ClickException(
            f"{private} belongs to {user_name(owner)}: run this command as that user"
        )
