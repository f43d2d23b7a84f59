"""The description of a file's content, kept in its extended attributes.

`user.shatag.sha256` and `user.shatag.ts` have the meaning that cshatag gives them, and
`user.mime_type` has that of freedesktop.org. A digest is valid only while the time beside it is the
modification time of the file. On a file system without attributes nothing is kept.
"""

import errno
import os

from fileservice.names import FileName
from fileservice.storage.files import Content, StoredFile

_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM)


def read(name: FileName, descriptor: int) -> StoredFile:
    """Describe an opened file by its status and its attributes. Raise OSError."""
    status = os.fstat(descriptor)
    media_type, charset, digest = _attribute(descriptor, "user.mime_type"), None, None
    if media_type:
        charset = _attribute(descriptor, "user.charset")
    if _attribute(descriptor, "user.shatag.ts") == _timestamp(status.st_mtime_ns):
        digest = _attribute(descriptor, "user.shatag.sha256")
    content = Content.from_text(name, media_type, charset, digest)
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
    )


def write(content: Content, descriptor: int) -> None:
    """Set the attributes of an opened file. Raise OSError, but not if there are no attributes."""
    attributes = {"user.mime_type": content.media_type.encode()}
    if content.charset:
        attributes["user.charset"] = content.charset.encode()
    if content.sha256:
        modified_ns = os.fstat(descriptor).st_mtime_ns
        attributes["user.shatag.sha256"] = content.sha256.hex().encode()
        attributes["user.shatag.ts"] = _timestamp(modified_ns).encode()
    try:
        for attribute, value in attributes.items():
            os.setxattr(descriptor, attribute, value)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def are_supported(descriptor: int) -> bool:
    """Return whether the file system of this unpublished file has extended attributes."""
    try:
        os.setxattr(descriptor, "user.mime_type", b"text/plain")
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def _attribute(descriptor: int, attribute: str) -> str | None:
    """Return the value of an attribute, or None if the file does not have it."""
    try:
        return os.getxattr(descriptor, attribute).decode("latin-1")
    except OSError as error:
        if error.errno in (errno.ENODATA, *_UNSUPPORTED):
            return None
        raise


def _timestamp(nanoseconds: int) -> str:
    """Format a time as cshatag does, in seconds and nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09d}"
