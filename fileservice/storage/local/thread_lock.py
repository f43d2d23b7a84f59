"""ThreadLock: excludes the native threads of a process from each other.

gevent replaces `threading.Lock` by a lock for greenlets. A native thread that has to wait for one
gets an event loop of its own, and the layers below `web` do not know gevent. This lock is a
semaphore of the kernel (eventfd), so a thread waits for it as for a disk. A greenlet that holds it
must not switch to another one.
"""

import os
import weakref
from typing import Self


class ThreadLock:
    """A context manager that one thread at a time can be in; it is not reentrant."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        weakref.finalize(self, os.close, self._descriptor)

    def __enter__(self) -> Self:
        os.eventfd_read(self._descriptor)
        return self

    def __exit__(self, *_error: object) -> None:
        os.eventfd_write(self._descriptor, 1)
