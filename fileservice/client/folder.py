"""The files in a directory, and the names that they get at a service, which has no directories."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fileservice.client.errors import LocalFileError

SEPARATOR = "-"
"""Stands in a name where a slash was, as in docs/moving-in.md."""


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """Something in a directory or in one below it."""

    path: Path
    name: str
    """That of the file at the service: its path in the directory, with `SEPARATOR` for slashes."""
    skipped: str = ""
    """Why it is not sent; empty if it is."""
    error: LocalFileError | None = None
    """Why a directory cannot be read."""


def entries_of(directory: Path) -> Iterator[FolderEntry]:
    """Yield what is in a directory and in those below it, by name.

    Hidden files and directories are skipped, and so is what is neither a file nor a directory:
    a symbolic link may lead anywhere.
    """
    return _entries(directory, "")


def _entries(directory: Path, beginning: str) -> Iterator[FolderEntry]:
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield FolderEntry(directory, "", error=LocalFileError(directory, error))
        return
    for entry in entries:
        path, name = directory / entry.name, beginning + entry.name
        if entry.name.startswith("."):
            yield FolderEntry(path, name, "it is hidden")
        elif entry.is_symlink():
            yield FolderEntry(path, name, "it is a symbolic link")
        elif entry.is_dir():
            yield from _entries(path, name + SEPARATOR)
        elif entry.is_file():
            yield FolderEntry(path, name)
        else:
            yield FolderEntry(path, name, "it is not a file")
