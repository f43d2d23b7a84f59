"""GroupCommit: concurrent callers share the syncs of a directory.

A sync makes durable what was done before it began. So callers that come while one is under way all
wait for the next one, which serves them together: however many there are, the disk is never asked
for more than one sync at a time.
"""

import errno
import os
from collections.abc import Callable

from fileservice.executor import CallBlocking, NewLock, call_directly

_UNKNOWN_ERROR = OSError(errno.EIO, os.strerror(errno.EIO))


class GroupCommit:
    """Runs `commit` for many callers at once, by `call_blocking`; it may raise OSError."""

    def __init__(
        self,
        commit: Callable[[], None],
        new_lock: NewLock,
        call_blocking: CallBlocking = call_directly,
    ) -> None:
        self._commit = commit
        self._new_lock = new_lock
        self._call_blocking = call_blocking
        self._under_way = new_lock()
        self._next = _Group(new_lock)
        """The callers for whom the next commit is made."""

    def wait(self) -> None:
        """Return when a commit has ended that began after this call. Raise OSError if it failed."""
        group = self._next
        self._call_blocking(lambda: self._wait_for(group))

    def _wait_for(self, group: "_Group") -> None:
        if not group.leader.acquire(False):
            with group.ended:
                pass
            if group.error:
                raise OSError(group.error.errno, group.error.strerror)
            return
        with self._under_way:
            self._next = _Group(self._new_lock)  # whoever comes from here on may come too late
            try:
                self._commit()
                group.error = None
            except OSError as error:
                group.error = error
                raise
            finally:
                group.ended.release()


class _Group:
    """Callers that wait for the same commit, which the first of them makes."""

    def __init__(self, new_lock: NewLock) -> None:
        self.leader = new_lock()
        """Is acquired by the first caller."""
        self.ended = new_lock()
        """Is held until the commit has ended."""
        self.ended.acquire()
        self.error: OSError | None = _UNKNOWN_ERROR
