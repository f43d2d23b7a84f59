"""Proof: whether a directory can be a store, looked at once before the service starts on it.

What will not work by itself later is refused: a path that cannot be a directory, a permission that
is missing, a file system without hard links, another store than the one expected. A disk that is
read-only or full at the moment is not: it still serves what it has.
"""

import errno
import logging
import os
from contextlib import suppress

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.files import StoreVerification
from fileservice.storage.local import attributes, staging
from fileservice.storage.local.errors import sync_directory, translate_errors
from fileservice.storage.local.layout import Layout

_LASTING = (
    errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EINVAL,
    errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)

_BEGUN = "the directory {} has become a store, with the identity {}"
_BEGUN_EMPTY = _BEGUN + "; it was empty: if a file system belongs there, see that it is mounted"
_NOT_WRITABLE = (
    "the store {} cannot be written to at present ({}): files are listed and served, and uploads"
    " are refused until it can"
)
_WITHOUT_ATTRIBUTES = (
    "the file system of the store {} has no extended attributes: no digests are kept, and so an"
    " upload that is repeated because its answer was lost is refused with 409"
)


def verify(layout: Layout) -> StoreVerification:
    """Make the store, and try out what it is built on. Raises StorageError."""
    with translate_errors(layout.root):
        try:
            lines = _prepare(layout)
        except OSError as error:
            if error.errno in _LASTING:
                raise
            line = _NOT_WRITABLE.format(os.fsdecode(layout.root), error.strerror)
            lines = [(logging.WARNING, line)]
    return StoreVerification(layout.identity.expected, tuple(lines))


def _prepare(layout: Layout) -> list[tuple[int, str]]:
    lines = []
    made, root = _make(layout.root), os.fsdecode(layout.root)
    layout.identity.check()
    known = layout.identity.expected
    with os.scandir(layout.root) as entries:
        empty = not any(entries)
    os.makedirs(layout.staging, exist_ok=True)
    if not _prove_writing(layout.staging):
        lines.append((logging.WARNING, _WITHOUT_ATTRIBUTES.format(root)))
    layout.identity.require()
    if not known:
        level, form = (
            (logging.WARNING, _BEGUN_EMPTY) if empty and not made else (logging.INFO, _BEGUN)
        )
        lines.append((level, form.format(root, layout.identity.expected)))
    return lines


def _make(root: bytes) -> bool:
    """Make the directory, durably, if it is not there; whether it was not."""
    try:
        os.stat(root)
    except FileNotFoundError:
        with translate_errors(root):  # what hinders this does not go away by itself
            os.makedirs(root, exist_ok=True)
            with suppress(PermissionError):  # who may write to a directory may not always read it
                sync_directory(os.path.dirname(root))
        return True
    return False


def _prove_writing(directory: bytes) -> bool:
    """Prove that there are hard links; whether there are extended attributes."""
    descriptor, path = staging.create(directory)
    try:
        _prove_links(path)
        return attributes.are_kept(descriptor)
    finally:
        os.unlink(path)
        os.close(descriptor)  # last: while it is locked, no other process sweeps it


def _prove_links(path: bytes) -> None:
    try:
        os.link(path, path + b"-link")
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise StorageUnavailable(
            "the file system has no hard links, by which files are published"
        ) from error
    os.unlink(path + b"-link")
