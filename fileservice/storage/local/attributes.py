"""The description of a file's content and its owner, kept in its extended attributes.

`user.shatag.sha256` and `user.shatag.ts` have the meaning that cshatag gives them, and
`user.mime_type` has that of freedesktop.org. A digest is valid only while the time beside it is the
modification time of the file. `user.fileservice.owner` is that of `files.Owner`, and
`user.fileservice.expires` the time at which the file expires, in seconds since the Unix epoch.
`user.fileservice.event` is the id of the event that says that the file was stored. On a file system
without attributes nothing is kept.
"""

import errno
import os
from dataclasses import replace

from fileservice.names import FileName
from fileservice.storage.errors import ExpiryNotSupported
from fileservice.storage.files import (
    Content,
    Owner,
    StoredFile,
    event_from_text,
    expiry_from_text,
)

_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM)
_OWNER = "user.fileservice.owner"
_EXPIRES = "user.fileservice.expires"
_EVENT = "user.fileservice.event"


def read(name: FileName, descriptor: int) -> StoredFile:
    """Describe an opened file by its status and its attributes. Raise OSError."""
    status = os.fstat(descriptor)
    kept = _names(descriptor)
    if not kept:
        return _describe(name, status, Content.from_text(name, None, None, None), None)

    def attribute(key: str) -> str | None:
        return _attribute(descriptor, key) if key in kept else None

    media_type, charset, digest = attribute("user.mime_type"), None, None
    if media_type:
        charset = attribute("user.charset")
    if attribute("user.shatag.ts") == _timestamp(status.st_mtime_ns):
        digest = attribute("user.shatag.sha256")
    content = Content.from_text(name, media_type, charset, digest)
    owner = Owner.from_text(attribute(_OWNER))
    expires = expiry_from_text(attribute(_EXPIRES))
    event = event_from_text(attribute(_EVENT))
    return _describe(name, status, content, owner, expires, event)


def read_owner(path: str) -> Owner | None:
    """Return the owner of the file at a path. Raise OSError."""
    return Owner.from_text(_attribute(path, _OWNER))


def read_expiry(path: str) -> int | None:
    """Return when the file at a path expires, as `StoredFile.expires` does. Raise OSError."""
    return expiry_from_text(_attribute(path, _EXPIRES))


def write(
    name: FileName,
    content: Content,
    owner: Owner | None,
    descriptor: int,
    *,
    expires: int | None = None,
    event: str = "",
) -> StoredFile:
    """Set the attributes of an opened file that is to get this name, and describe it.

    Raise OSError, but not if there are no attributes: then raise ExpiryNotSupported for a file that
    expires, and keep nothing of any other.
    """
    status = os.fstat(descriptor)
    attributes = {"user.mime_type": content.media_type.encode()}
    if content.charset:
        attributes["user.charset"] = content.charset.encode()
    if content.sha256:
        attributes["user.shatag.sha256"] = content.sha256.hex().encode()
        attributes["user.shatag.ts"] = _timestamp(status.st_mtime_ns).encode()
    if owner:
        attributes[_OWNER] = owner.to_text().encode()
    if expires is not None:
        attributes[_EXPIRES] = b"%d" % expires
    if event:
        attributes[_EVENT] = event.encode()
    try:
        for attribute, value in attributes.items():
            os.setxattr(descriptor, attribute, value)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if expires is not None:
            raise ExpiryNotSupported from error
        version = _describe(name, status, replace(content, sha256=None), None).version
        return replace(_describe(name, status, content, None), version=version)
    return _describe(name, status, content, owner, expires, event)


def are_supported(descriptor: int) -> bool:
    """Return whether the file system of this unpublished file has extended attributes."""
    try:
        os.setxattr(descriptor, "user.mime_type", b"text/plain")
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def _describe(
    name: FileName,
    status: os.stat_result,
    content: Content,
    owner: Owner | None,
    expires: int | None = None,
    event: str = "",
) -> StoredFile:
    if content.sha256:
        version = content.sha256.hex()
    else:
        version = f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
    return StoredFile(
        name=name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        content=content,
        version=version,
        owner=owner,
        expires=expires,
        event=event,
    )


def _names(descriptor: int) -> list[str]:
    """Return the names of the attributes that a file has; to ask for each costs more."""
    try:
        return os.listxattr(descriptor)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return []
        raise


def _attribute(file: int | str, attribute: str) -> str | None:
    """Return the value of an attribute, or None if the file does not have it."""
    try:
        return os.getxattr(file, attribute).decode("latin-1")
    except OSError as error:
        if error.errno in (errno.ENODATA, *_UNSUPPORTED):
            return None
        raise


def _timestamp(nanoseconds: int) -> str:
    """Format a time as cshatag does, in seconds and nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09d}"
