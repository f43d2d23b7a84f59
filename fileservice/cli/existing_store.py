"""The store of a service, for commands that must not make a new one."""

import os
from pathlib import Path

from fileservice.storage import Store, directory_of, open_store, user_name


class NotUsable(Exception):
    """The store does not exist, or belongs to another user; the message says what to do."""


def open_existing(url: str, *, fsync: bool = True, identity: str | None = None) -> Store:
    """Open the store at `url`. Raise NotUsable or StorageError."""
    directory = directory_of(url)
    if directory:
        check_store(directory)
    return open_store(url, fsync=fsync, verified=True, identity=identity)


def check_store(directory: Path) -> None:
    """Raise NotUsable if this is not a store, or that of another user."""
    if not is_store(directory):
        raise NotUsable(f"{directory} is not the directory of a service")
    check_owner(directory)


def is_store(directory: Path) -> bool:
    """Return whether a service has used this directory as its store."""
    try:
        return (directory / ".fileservice").is_dir()
    except OSError:
        return False


def check_owner(directory: Path) -> None:
    """Raise NotUsable if what the service keeps for itself there is that of another user.

    The service could not use files in it that belong to the user of a command.
    """
    private = directory / ".fileservice"
    owner = private.stat().st_uid
    if owner != os.geteuid():
        raise NotUsable(f"{private} belongs to {user_name(owner)}: run this command as that user")
