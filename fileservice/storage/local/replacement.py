"""Replacement of published files."""

import fcntl
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
    another file after the check. If the directory cannot be synced, the old file gets the name
    back, as far as the disk allows. Raise NotFound, VersionChanged or OSError.
    """
    with ExitStack() as stack:
        old: bytes | None = None
        with lock_directory(layout.root):
            current = published.open_file(layout, name)
            stack.callback(os.close, current)
            # The process that replaced the file by this one may have died before it recorded that.
            is_own = os.path.samestat(os.fstat(current), os.fstat(descriptor))
            replaced = None if is_own else attributes.read(name, current)
            if replaced:
                if replaced.version != version:
                    raise VersionChanged(name)
                if layout.fsync:
                    with suppress(BlockingIOError):  # its own writer has not closed it yet
                        fcntl.flock(current, fcntl.LOCK_SH | fcntl.LOCK_NB)  # or it could be swept
                    old = _link(layout, layout.published(name))
                    stack.callback(_unlink, old)
                _rename_link(layout, path, layout.published(name))
        try:
            layout.sync_names()
        except OSError:
            if old:
                _put_back(layout, name, descriptor, old)
            raise
        if replaced and replaced.expires is not None:
            with suppress(OSError):  # otherwise it is removed at its time
                expiry_index.discard(replaced.expires, current)
    return replaced


def _rename_link(layout: Layout, path: bytes, target: bytes) -> None:
    """Put a second name of the file at `path` in the place of the file at `target`."""
    link = _link(layout, path)
    try:
        os.rename(link, target)
    except BaseException:
        _unlink(link)
        raise


def _link(layout: Layout, path: bytes) -> bytes:
    """Return a new second name of the file at `path`.

    It is one of a staged file. If the process dies while there is this name, it is swept.
    """
    link = os.path.join(layout.staging, secrets.token_hex(16).encode())
    os.link(path, link)
    return link


def _unlink(link: bytes) -> None:
    with suppress(OSError):  # then it is swept
        os.unlink(link)


def _put_back(layout: Layout, name: FileName, descriptor: int, old: bytes) -> None:
    """Give the name back to the file at `old`, unless the opened file does not have it any more."""
    target = layout.published(name)
    with suppress(OSError), lock_directory(layout.root):
        if os.path.samestat(os.fstat(descriptor), os.lstat(target)):
            os.rename(old, target)
