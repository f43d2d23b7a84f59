"""The description of a file's content, kept in its extended attributes.

`user.shatag.sha256` and `user.shatag.ts` have the meaning that cshatag gives them, and
`user.mime_type` has that of freedesktop.org. A digest is valid only while the time beside it is the
modification time of the file. On a file system without attributes nothing is kept.
"""

import errno
import os
import re

from fileservice.filetypes import media_type_of
from fileservice.names import FileName
from fileservice.storage.files import Content, StoredFile

_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM)
_MEDIA_TYPE = re.compile(rb"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_CHARSET = re.compile(rb"[A-Za-z0-9-]{1,40}")
_SHA256 = re.compile(rb"[0-9a-f]{64}")
_TIMESTAMP = re.compile(rb"-?[0-9]{1,20}\.[0-9]{9}")


def read(name: FileName, descriptor: int) -> StoredFile:
    """Describe an opened file by its status and its attributes. Raise OSError."""
    status = os.fstat(descriptor)
    media_type = _attribute(descriptor, "user.mime_type", _MEDIA_TYPE)
    digest = None
    if _attribute(descriptor, "user.shatag.ts", _TIMESTAMP) == _timestamp(status.st_mtime_ns):
        digest = _attribute(descriptor, "user.shatag.sha256", _SHA256)
    return StoredFile(
        name=name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        content=Content(
            media_type=media_type or media_type_of(name.extension),
            charset=_attribute(descriptor, "user.charset", _CHARSET) if media_type else None,
            sha256=bytes.fromhex(digest) if digest else None,
        ),
        version=digest or f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}",
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


def _attribute(descriptor: int, attribute: str, pattern: re.Pattern[bytes]) -> str | None:
    """Return the value of an attribute, or None if it does not match: others may write them."""
    try:
        value = os.getxattr(descriptor, attribute)
    except OSError as error:
        if error.errno in (errno.ENODATA, *_UNSUPPORTED):
            return None
        raise
    return value.decode("ascii") if pattern.fullmatch(value) else None


def _timestamp(nanoseconds: int) -> str:
    """Format a time as cshatag does, in seconds and nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09d}"
