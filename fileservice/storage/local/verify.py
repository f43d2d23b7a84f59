"""Verification that a directory can be a store, done once before the service starts on it.

A fault that does not go away by itself is raised: a path that cannot be a directory, a missing
permission, a file system without hard links, a store other than the expected one. A disk that is
read-only or full at the moment is only reported, since the files on it can still be served.
"""

import errno
import logging
import os
import time
from contextlib import suppress

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.files import StoreVerification
from fileservice.storage.local import attributes, permissions, staging
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.layout import Layout

_PERMANENT = (
    errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EINVAL,
    errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)

_CREATED = "the directory {} has become a store, with the identity {}"
_CREATED_IN_EMPTY_DIRECTORY = (
    _CREATED + "; it was empty: if a file system belongs there, check that it is mounted"
)
_NOT_WRITABLE = (
    "the store {} cannot be written to at present ({}): files are listed and served, and uploads"
    " are refused until it can"
)
_WITHOUT_ATTRIBUTES = (
    "the file system of the store {} has no extended attributes: no digests are kept, so an upload"
    " that is repeated because its response was lost is refused with 409, and no owners, so quotas"
    " do not hold"
)


def verify(layout: Layout) -> StoreVerification:
    """Create the store if need be, and test what it depends on. Raise StorageError."""
    skew = None
    with translate_errors(layout.root):
        try:
            messages, skew = _prepare(layout)
        except OSError as error:
            if error.errno in _PERMANENT:
                raise
            message = _NOT_WRITABLE.format(os.fsdecode(layout.root), error.strerror)
            messages = [(logging.WARNING, message)]
    return StoreVerification(layout.identity.expected, tuple(messages), skew)


def _prepare(layout: Layout) -> tuple[list[tuple[int, str]], float]:
    """Return messages, and by how many seconds the clock of the file system is ahead."""
    messages = []
    created, root = _create_root(layout.root), os.fsdecode(layout.root)
    layout.identity.check()
    known = layout.identity.expected
    with os.scandir(layout.root) as entries:
        empty = not any(entries)
    for directory in (os.path.dirname(layout.staging), layout.staging):
        permissions.make_directory(directory)
    permissions.close_to_others(os.path.dirname(layout.staging))
    has_attributes, skew = _test_writing(layout.staging)
    if not has_attributes:
        messages.append((logging.WARNING, _WITHOUT_ATTRIBUTES.format(root)))
    layout.identity.require()
    if not known:
        suspicious = empty and not created
        level, message = (
            (logging.WARNING, _CREATED_IN_EMPTY_DIRECTORY)
            if suspicious
            else (logging.INFO, _CREATED)
        )
        messages.append((level, message.format(root, layout.identity.expected)))
    return messages, skew


def _create_root(root: bytes) -> bool:
    """Create the directory durably if it does not exist; return whether it was created."""
    try:
        os.stat(root)
    except FileNotFoundError:
        with translate_errors(root):  # whatever hinders this does not go away by itself
            os.makedirs(root, exist_ok=True)
            with suppress(PermissionError):  # a directory may be writable and not readable
                sync_directory(os.path.dirname(root))
        return True
    return False


def _test_writing(directory: bytes) -> tuple[bool, float]:
    """Raise StorageUnavailable if there are no hard links.

    Return whether attributes are kept, and by how many seconds the clock of the file system, which
    may be that of a server, is ahead of this machine's.
    """
    descriptor, path = staging.create(directory)
    try:
        skew = os.fstat(descriptor).st_mtime - time.time()
        _test_links(path)
        return attributes.are_supported(descriptor), skew
    finally:
        os.unlink(path)
        os.close(descriptor)  # last, because no other process sweeps the file while it is locked


def _test_links(path: bytes) -> None:
    try:
        os.link(path, path + b"-link")
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise StorageUnavailable(
            "the file system has no hard links, by which files are published"
        ) from error
    os.unlink(path + b"-link")
