"""Replacement of published files."""

import os
import secrets
from contextlib import ExitStack, suppress

from fileservice.names import FileName
from fileservice.storage.errors import VersionChanged
from fileservice.storage.files import StoredFile
from fileservice.storage.local import attributes, published
from fileservice.storage.local.directories import lock_directory
from fileservice.storage.local.expiry_index import ExpiryIndex
from fileservice.storage.local.layout import Layout


def replace_name(
    layout: Layout,
    expiry_index: ExpiryIndex,
    name: FileName,
    version: str,
    path: bytes,
    descriptor: int,
) -> StoredFile | None:
    """Give the name durably to the opened file at `path` if it belongs to this version of a file.

    Return the file that had the name, or None if this very file had it already. The file keeps its
    `path`. All names are replaced and removed under one lock, so the name cannot come to belong to
    another file after the check. Raise NotFound, VersionChanged or OSError.
    """
    with ExitStack() as stack:
        with lock_directory(layout.root):
            current = published.open_file(layout, name)
            stack.callback(os.close, current)
            # The process that replaced the file by this one may have died before it recorded that.
            is_own = os.path.samestat(os.fstat(current), os.fstat(descriptor))
            replaced = None if is_own else attributes.read(name, current)
            if replaced:
                if replaced.version != version:
                    raise VersionChanged(name)
                _rename_link(layout, path, layout.published(name))
        layout.sync_names()
        if replaced and replaced.expires is not None:
            with suppress(OSError):  # otherwise it is removed at its time
                expiry_index.discard(replaced.expires, current)
    return replaced


def _rename_link(layout: Layout, path: bytes, target: bytes) -> None:
    """Put a second name of the file at `path` in the place of the file at `target`.

    The second name is one of a staged file. If the process dies before the rename, it is swept.
    """
    link = os.path.join(layout.staging, secrets.token_hex(16).encode())
    os.link(path, link)
    try:
        os.rename(link, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(link)
        raise
