"""What is remembered of an upload until it is complete, so that another process can go on with it.

A small JSON file for each upload, in $XDG_STATE_HOME/fileservice/uploads (XDG Base Directory
Specification), which only its user may read: whoever knows the address of an upload that was begun
without credentials can go on with it. The name of the file is made from the address to which a
local file is sent and from the identity of that file, so a file that has changed is another one.
"""

import fcntl
import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from fileservice.client.errors import InUse, LocalFileError

_KEPT_SECONDS = 30 * 86400
"""A service keeps unfinished uploads for less time by far."""


def default_directory() -> Path:
    """Return the directory of the states."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "fileservice" / "uploads"


class UploadState:
    """The state of one upload, which no other process can use until it is closed."""

    def __init__(self, path: Path, descriptor: int, local_file: Path) -> None:
        self._path = path
        self._descriptor = descriptor
        self._local_file = local_file
        self.resource = ""
        """The id of the unfinished upload; empty if there is none yet."""
        self.sha256 = b""
        """The digest of the file; empty if it is not known yet."""
        self._read()

    @classmethod
    def open(cls, directory: Path, url: str, path: Path, status: os.stat_result) -> Self:
        """Open the state of the upload of a file with this status to `url`, or begin one.

        Raise InUse if another process has it, or LocalFileError.
        """
        identity = [
            url,
            str(path.absolute()),
            str(status.st_dev),
            str(status.st_ino),
            str(status.st_size),
            str(status.st_mtime_ns),
        ]
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_old(directory)
            while True:
                file = directory / f"{key}.json"
                descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                    raise InUse(path) from None
                if os.fstat(descriptor).st_nlink:
                    return cls(file, descriptor, path)
                os.close(descriptor)  # a process that has just completed the upload removed it
        except OSError as error:
            raise LocalFileError(directory, error) from None

    def save(self) -> None:
        """Write what is known now. Raise LocalFileError."""
        text = json.dumps({"resource": self.resource, "sha256": self.sha256.hex()})
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)
        except OSError as error:
            raise LocalFileError(self._path, error) from None

    def close(self) -> None:
        """Let other processes use the state. It is removed if there is no unfinished upload."""
        if not self.resource:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            kept = json.loads(os.pread(self._descriptor, 4096, 0))
            self.resource, self.sha256 = str(kept["resource"]), bytes.fromhex(kept["sha256"])
        except (ValueError, KeyError, TypeError):
            self.resource, self.sha256 = "", b""  # it is new, or was cut short by a crash


def _remove_old(directory: Path) -> None:
    """Remove states that nobody has come back to."""
    oldest = time.time() - _KEPT_SECONDS
    for file in directory.glob("*.json"):
        with suppress(OSError):
            if file.stat().st_mtime < oldest:
                file.unlink()
