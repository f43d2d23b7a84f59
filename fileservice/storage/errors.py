"""The errors of a store.

StorageError
├── NotFound             there is no such file
├── NoSuchUpload         there is no such unfinished upload
├── Locked               another writer is at the unfinished upload
├── NameTaken            another file has the name
├── NameReserved         another file may be about to get the name
├── StorageFull          no room, or none that may be used
├── StorageUnavailable   the store does not answer, or answers with a fault
└── Busy                 this process has no means left just now (descriptors, memory)
"""

import errno
import os
import pwd

from fileservice.names import FileName


class StorageError(Exception):
    """Something the store could not do."""


class NotFound(StorageError):
    def __init__(self, name: FileName) -> None:
        super().__init__(f"there is no file named {name!r}")
        self.name = name


class NameTaken(StorageError):
    def __init__(self, name: FileName) -> None:
        super().__init__(
            f"there is already a file named {name!r}; choose another name, or delete that one"
        )
        self.name = name


class NameReserved(StorageError):
    def __init__(self, name: FileName) -> None:
        super().__init__(
            f"another file is just being stored under the name {name!r}, or was when its server"
            " died; try again in a moment"
        )
        self.name = name


class NoSuchUpload(StorageError):
    def __init__(self) -> None:
        super().__init__("there is no such upload; it was never begun, or it was taken back")


class Locked(StorageError):
    def __init__(
        self, detail: str = "another request is sending to this upload; wait until it has ended"
    ) -> None:
        super().__init__(detail)


class StorageFull(StorageError):
    """There is no room for the file."""


class StorageUnavailable(StorageError):
    """The store cannot do its work at present."""


class Busy(StorageError):
    """The process has run out of descriptors or memory."""


def describe_error(error: StorageError) -> str:
    """The error as the log has it: with the path and, where a permission is missing, the user.

    Neither is for clients to know, so the text of the error itself has neither.
    """
    cause = error.__cause__
    facts = []
    if isinstance(cause, OSError):
        if cause.strerror and cause.strerror not in str(error):
            facts.append(cause.strerror)
        facts += [repr(os.fsdecode(path)) for path in (cause.filename, cause.filename2) if path]
        if cause.errno in (errno.EACCES, errno.EPERM):
            facts.append(f"the service runs as {user_name(os.geteuid())}")
    return f"{error} [{'; '.join(facts)}]" if facts else str(error)


def user_name(number: int) -> str:
    """A user as people know it: the name, where there is one, and the number."""
    try:
        return f"{pwd.getpwuid(number).pw_name} ({number})"
    except KeyError:
        return f"the user {number}"
