"""The errors of a store.

StorageError
├── NotFound             there is no such file
├── NoSuchUpload         there is no such unfinished upload
├── Locked               another writer has the lock of the upload
├── NameTaken            another file has the name
├── NameReserved         another file may be about to get the name
├── VersionChanged       the file with the name is not the version that was meant
├── ExpiryNotSupported   the store cannot keep when a file expires
├── StorageFull          there is no space, or none that may be used
├── StorageUnavailable   the store does not respond, or responds with an error
└── Busy                 this process has no file descriptors or memory left at the moment
"""

import errno
import os
import pwd

from fileservice.names import FileName


class StorageError(Exception):
    """The base class of the errors of a store."""


class NotFound(StorageError):
    def __init__(self, name: FileName) -> None:
        super().__init__(f"there is no file named {name!r}")
        self.name = name


class NameTaken(StorageError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is already a file named {name!r}; choose another name, or delete that one"
        )
        self.name = name


class NameReserved(StorageError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"another file is being stored under the name {name!r}, or was when its server died;"
            " try again in a moment"
        )
        self.name = name


class VersionChanged(StorageError):
    def __init__(self, name: str) -> None:
        super().__init__(f"the file named {name!r} has been replaced or deleted meanwhile")
        self.name = name


class NoSuchUpload(StorageError):
    def __init__(self) -> None:
        super().__init__("there is no such upload; it was never created, or it was removed")


class Locked(StorageError):
    def __init__(
        self, detail: str = "another request is sending to this upload; wait until it has ended"
    ) -> None:
        super().__init__(detail)


class ExpiryNotSupported(StorageError):
    def __init__(self) -> None:
        super().__init__(
            "the file system of the storage cannot keep when a file expires (extended attributes),"
            " so nothing that expires is stored; send the file without expires"
        )


class StorageFull(StorageError):
    """There is no space for the file."""


class StorageUnavailable(StorageError):
    """The store cannot do its work at present."""


class Busy(StorageError):
    """The process has run out of file descriptors or memory."""


def describe_error(error: StorageError) -> str:
    """Return the error for the log, with the path and, if a permission is missing, the user.

    Clients must not learn either of them, so the text of the error itself has neither.
    """
    cause = error.__cause__
    details = []
    if isinstance(cause, OSError):
        if cause.strerror and cause.strerror not in str(error):
            details.append(cause.strerror)
        details += [repr(os.fsdecode(path)) for path in (cause.filename, cause.filename2) if path]
        if cause.errno in (errno.EACCES, errno.EPERM):
            details.append(f"the service runs as {user_name(os.geteuid())}")
    return f"{error} [{'; '.join(details)}]" if details else str(error)


def user_name(uid: int) -> str:
    """Return the name of a user and the number, or the number alone if there is no name."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"the user {uid}"
