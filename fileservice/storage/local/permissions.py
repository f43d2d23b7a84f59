"""The permissions of what the store creates: for its user alone, except published files.

Those have what the umask of the process leaves of PUBLISHED (umask(2)), which the operator sets.
Files get it when they are created, so that publishing one needs no further system call; until then
they are in the private directory, which only its user may enter.
"""

import os
from contextlib import suppress
from stat import S_IMODE, S_IRWXG, S_IRWXO

PRIVATE = 0o600
PUBLISHED = 0o666
_DIRECTORY = 0o700


def make_directory(path: bytes) -> None:
    """Create a private directory unless it exists. Raise OSError."""
    with suppress(FileExistsError):
        os.mkdir(path, _DIRECTORY)


def close_to_others(directory: bytes) -> None:
    """Take the permissions of others away from a directory that an earlier version has created.

    If it belongs to somebody else, it stays as it is.
    """
    mode = S_IMODE(os.stat(directory).st_mode)
    if mode & (S_IRWXG | S_IRWXO):
        with suppress(PermissionError):
            os.chmod(directory, mode & ~(S_IRWXG | S_IRWXO))
