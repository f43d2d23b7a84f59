"""Removal of published files."""

import os

from fileservice.names import FileName
from fileservice.storage.local.directories import lock_directory
from fileservice.storage.local.layout import Layout


def remove_name(layout: Layout, name: FileName, descriptor: int) -> None:
    """Remove this name if it belongs to the opened file. Raise FileNotFoundError if it does not.

    All names are removed and replaced under one lock, and a taken name cannot be published again.
    So the name cannot come to belong to another file between the check and the removal.
    """
    path = layout.published(name)
    with lock_directory(layout.root):
        if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            raise FileNotFoundError("the name belongs to another file now")
        os.unlink(path)
