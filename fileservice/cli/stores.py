"""The stores that commands work on, and the errors of those."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from fileservice.cli import existing_store
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
)

STORE_URL = click.option(
    "--store-url",
    envvar="FILESERVICE_STORE_URL",
    show_envvar=True,
    default="./data",
    show_default=True,
    help="The store of the service.",
)


def open_or_exit(url: str, hint: str = "--store-url") -> Store:
    """Open a store that exists: a wrong URL must not make a new one."""
    _check_url(url, hint)
    with _not_usable_shown():
        return existing_store.open_existing(url)


def open_target(url: str, hint: str) -> Store:
    """Open a store, which is made unless it exists, and verify that it keeps what it must."""
    _check_url(url, hint)
    directory = directory_of(url)
    if directory and directory.exists() and any(directory.iterdir()):
        with _not_usable_shown():
            existing_store.check_store(directory)
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


def _check_url(url: str, hint: str) -> None:
    try:
        check_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=hint) from None


@contextmanager
def _not_usable_shown() -> Iterator[None]:
    try:
        yield
    except existing_store.NotUsable as error:
        raise click.ClickException(str(error)) from None
