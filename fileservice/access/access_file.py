"""ACCESS_FILE: read when the service starts, and again whenever the file changes."""

import logging
import stat
import threading
import time
from pathlib import Path
from typing import NamedTuple

from fileservice.access.errors import AccessFileError
from fileservice.access.rules import AccessRules
from fileservice.access.rules_parser import parse_rules

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 0.4
"""How long the file is not looked at again after it was."""
_WRITING_SECONDS = 0.2
"""A file that changed less than this ago may be being written: it is not read yet."""
_MAX_SIZE = 16 << 20


def read_rules(path: Path) -> AccessRules:
    """Read the rules in the file. Raise AccessFileError with all that is wrong with it. Blocks."""
    return parse_rules(read_text(path))


def read_text(path: Path) -> str:
    """Read the file. Raise AccessFileError if it cannot be read or is not a text. Blocks."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
            raise AccessFileError(["it is not a file"])
        with path.open("rb") as file:
            content = file.read(_MAX_SIZE + 1)
        if len(content) > _MAX_SIZE:
            raise AccessFileError([f"it has more than {_MAX_SIZE} bytes"])
        return content.decode("utf-8")
    except OSError as error:
        raise AccessFileError([f"it cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise AccessFileError(["it is not UTF-8"]) from None


class AccessFile:
    """The rules in the file at `path`, at most one second old.

    If the file cannot be read or has mistakes, the rules that were read before stay in effect, the
    log says once what is wrong, and so does `error`. If it is so from the beginning, there are no
    rules: nobody but the anonymous principal may do anything until the file is corrected.

    Threads may share it. The file is replaced by rename, behind a symbolic link, or written in
    place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._variable = f"FILESERVICE_ACCESS_FILE={str(path)!r}"
        self._refreshing = threading.Lock()
        self._rules = AccessRules.empty()
        self._text: str | None = None
        self._has_rules = False
        self._error: str | None = None
        self._state: _State | None = None
        self._changed_since: float | None = None
        self._next_check = 0.0
        self._read(_State.of(path))

    @property
    def error(self) -> str | None:
        """What is wrong with the file as it is now; None if nothing is."""
        self.rules()
        return self._error

    def rules(self) -> AccessRules:
        """Return the rules; look at the file before, unless that was a moment ago.

        The calls are made on the event loop: a stat takes microseconds, and the file is small.
        """
        if time.monotonic() >= self._next_check and self._refreshing.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._refreshing.release()
        return self._rules

    def _refresh(self) -> None:
        state, now = _State.of(self._path), time.monotonic()
        self._next_check = now + _CHECK_SECONDS
        if state == self._state:
            return
        if self._changed_since is None:
            self._changed_since = now
        # A file that never settles, or has its times from another clock, is read all the same.
        if state.is_settled() or now - self._changed_since >= _CHECK_SECONDS:
            self._changed_since = None
            self._read(state)
        else:
            self._next_check = now + _WRITING_SECONDS

    def _read(self, state: "_State") -> None:
        """Read the file, which was in this state a moment ago."""
        # A change within the same tick of the clock cannot be seen, so the file is read once more.
        is_settled = state.is_settled()
        self._state = state if is_settled else None
        try:
            text = read_text(self._path)
            if is_settled and _State.of(self._path) != state:
                self._state = None  # it is being written: what was read may be a part of it
                return
            if text != self._text:
                self._rules, self._text = parse_rules(text), text
        except AccessFileError as error:
            if str(error) != self._error:
                effect = "the rules stay as they were" if self._has_rules else "it names nobody yet"
                _log.error("%s: %s; %s", self._variable, error, effect)
            self._error = str(error)
            return
        if self._error:
            _log.warning("%s: there are no mistakes any more", self._variable)
        self._has_rules, self._error = True, None


class _State(NamedTuple):
    """What changes when the file does; zeros if it cannot be looked at."""

    device: int = 0
    inode: int = 0
    size: int = 0
    modified: int = 0
    changed_ns: int = 0

    @classmethod
    def of(cls, path: Path) -> "_State":
        try:
            found = path.stat()
        except OSError:
            return cls()
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def is_settled(self) -> bool:
        """Whether the last change is so long ago that nobody is writing the file just now.

        A file that is not there may be being replaced.
        """
        return self.changed_ns > 0 and time.time() - self.changed_ns / 1e9 > _WRITING_SECONDS
