"""DirectoryChanges: which names in a directory may have changed, as the kernel says (inotify).

The kernel queues an event within the system call that changes a name, and while the directory is
locked. So whoever reads the queue after that call has returned, in whatever process, finds the
event. This holds for changes that are made by the same kernel: those that other machines make in a
network file system, or the host of a virtual machine in a shared folder, have no events. Only file
systems for which it holds are watched.

`man 7 inotify` describes the calls and the events.
"""

import ctypes
import logging
import os
import struct
import weakref
from typing import Self

from fileservice.storage.local.file_system_type import is_local

_log = logging.getLogger(__name__)

_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _UNMOUNT, _QUEUE_OVERFLOW, _IGNORED = 0x400, 0x2000, 0x4000, 0x8000
_ONLY_DIRECTORY = 0x01000000
_WATCHED = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _ONLY_DIRECTORY
_LOST = _UNMOUNT | _QUEUE_OVERFLOW | _IGNORED | _DELETE_SELF
_EVENT = struct.Struct("iIII")
"""struct inotify_event: the watch, the mask, a cookie, and the length of the name that follows."""
_LARGEST_EVENT = _EVENT.size + 256
_BUFFER = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)
_logged: set[str] = set()


class DirectoryChanges:
    """The changes of a directory since `watch` was called.

    One thread at a time may use it. It is for the process that created it, and is closed when
    nobody refers to it any more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._process = os.getpid()
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def watch(cls, directory: bytes) -> Self | None:
        """Begin to watch a directory; return None if its changes cannot be watched."""
        try:
            if not is_local(directory):
                _log_once("other machines may change its file system")
                return None
            descriptor = _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
            changes = cls(descriptor)
            _call("inotify_add_watch", descriptor, directory, _WATCHED)
        except (OSError, AttributeError) as error:  # a C library may lack the functions
            _log_once(str(error))
            return None
        return changes

    def read(self) -> set[bytes] | None:
        """Return the names that may have changed since the last call, whatever they belong to now.

        Return None if some are not known, now and from then on. A change that began before this
        call and has not returned may be missing. Raise OSError.
        """
        if os.getpid() != self._process:
            return None  # two processes that read one queue would each miss some
        names: set[bytes] = set()
        while True:
            try:
                data = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                return names
            offset = 0
            while offset < len(data):
                _, mask, _, length = _EVENT.unpack_from(data, offset)
                if mask & _LOST:
                    return None
                offset += _EVENT.size
                names.add(data[offset : offset + length].rstrip(b"\0"))
                offset += length
            if len(data) <= _BUFFER - _LARGEST_EVENT:
                return names  # there was space for another event, so there was none


def _call(function: str, *arguments: object) -> int:
    """Call a function of the C library. Raise OSError, or AttributeError if it has none."""
    result: int = getattr(_libc, function)(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), function)
    return result


def _log_once(reason: str) -> None:
    """Log once in this process why changes are not watched."""
    if reason not in _logged:
        _logged.add(reason)
        _log.warning(
            "changes of the store cannot be watched (%s): after each, a list reads the directory",
            reason,
        )
