"""ExpiryIndex: which files expire when, so that nothing has to look at all files.

    expiry/HOUR/SECONDS-INODE    a symbolic link that has the name of a file as its target

SECONDS is the time at which the file expires, in seconds since the Unix epoch, HOUR the number of
the hour that it lies in, and INODE distinguishes files that have one name after another. An entry
is durable before its file becomes visible. One whose file never did, because its process died, or
is gone, does no harm: what counts is the attribute of the file itself.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from fileservice.names import BadName, FileName
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.permissions import make_directory

_HOUR = 3600
_HOUR_NAME = re.compile(rb"[0-9]{9}")
_ENTRY_NAME = re.compile(rb"([0-9]{12})-[0-9a-f]{1,16}")


class Entry(NamedTuple):
    """One entry: when a file expires (seconds since the Unix epoch), its name, and the link."""

    expires: int
    name: FileName
    path: bytes


class ExpiryIndex:
    """The index of one store. Every method may raise OSError."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._durable_hours: set[bytes] = set()
        """The directories of hours that are known to survive a power failure."""

    def add(self, name: FileName, expires: int, descriptor: int) -> None:
        """Add an opened file that is to get this name, durably."""
        directory = self._link(name, expires, descriptor)
        if self._layout.fsync:
            sync_directory(directory)
            if directory not in self._durable_hours:
                sync_directory(self._layout.expiry)
                sync_directory(os.path.dirname(self._layout.expiry))
                self._durable_hours.add(directory)

    def restore(self, name: FileName, expires: int, descriptor: int) -> None:
        """Add an opened file that has expired, if it has no entry: a backup may have none.

        Raise nothing: if there is no space for it, the next one who finds the file adds it.
        """
        with suppress(OSError):
            self._link(name, expires, descriptor)

    def _link(self, name: FileName, expires: int, descriptor: int) -> bytes:
        """Create the entry of an opened file, and return the directory of its hour."""
        path = self._path(expires, descriptor)
        directory, target = os.path.dirname(path), name.encode()
        while True:
            try:
                os.symlink(target, path)
                return directory
            except FileExistsError:
                # This very file was about to be published before, or another once had its inode.
                with suppress(FileNotFoundError):
                    if os.readlink(path) == target:
                        return directory
                    os.unlink(path)
            except FileNotFoundError:  # nothing else expires in this hour
                self._durable_hours.discard(directory)
                make_directory(directory)

    def discard(self, expires: int, descriptor: int) -> None:
        """Remove the entry of an opened file, which still has its inode therefore."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(expires, descriptor))

    def entries(self, now: float) -> Iterator[Entry]:
        """Return the entries of files that have expired, the earliest first."""
        for hour in sorted(self._names(self._layout.expiry, _HOUR_NAME)):
            if int(hour) * _HOUR > now:
                return
            directory = os.path.join(self._layout.expiry, hour)
            for entry in sorted(self._names(directory, _ENTRY_NAME)):
                expires, path = int(entry.partition(b"-")[0]), os.path.join(directory, entry)
                if expires > now:
                    return
                try:
                    name = FileName.parse_bytes(os.readlink(path))
                except (OSError, BadName):
                    continue  # it was removed, or is no entry of an index
                yield Entry(expires, name, path)

    def remove_empty_hours(self, before: float) -> None:
        """Remove the directories of hours that had ended `before` this time, if they are empty."""
        for hour in self._names(self._layout.expiry, _HOUR_NAME):
            if (int(hour) + 1) * _HOUR < before:
                with suppress(OSError):
                    os.rmdir(os.path.join(self._layout.expiry, hour))

    def _path(self, expires: int, descriptor: int) -> bytes:
        entry = b"%012d-%x" % (expires, os.fstat(descriptor).st_ino)
        return os.path.join(self._layout.expiry, b"%09d" % (expires // _HOUR), entry)

    def _names(self, directory: bytes, pattern: re.Pattern[bytes]) -> list[bytes]:
        try:
            return [name for name in os.listdir(directory) if pattern.fullmatch(name)]
        except FileNotFoundError:
            return []
