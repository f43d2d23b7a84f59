"""AuditWriter: writes the audit log in a native thread, as a pipe or a disk may not take it.

Whoever has a line written waits until it is, since nothing is to happen unaudited. Others go on
meanwhile, and a log that takes no lines makes requests fail rather than wait.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gevent import get_hub, monkey
from gevent.event import Event

from fileservice.serving.log_writer import MAX_RECORD, LineOutput

_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)

_new_lock = monkey.get_original("_thread", "allocate_lock")
_new_queue = monkey.get_original("queue", "SimpleQueue")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_get_ident = monkey.get_original("_thread", "get_ident")
_sleep = monkey.get_original("time", "sleep")


class AuditWriter:
    """Writes to the stream of `handler`; an AuditLog, to be made in the thread of the event loop.

    Each line has `seconds` to be written. The lines of one iteration of the event loop are written
    together: the thread and the loop take turns, and each change costs more than a line.
    """

    def __init__(self, handler: "logging.StreamHandler[Any]", seconds: float) -> None:
        self._file = _File(handler)
        self._seconds = seconds
        self._loop_thread = _get_ident()
        self._lines: deque[_Line] = deque()  # the oldest first, until they are written
        self._added = _new_queue()  # has something for the thread whenever there are lines
        self._is_added_by_loop = False
        self._woken: deque[_Line] = deque()
        loop = get_hub().loop
        # After gevent's own, which runs greenlets: they may add lines, and nothing may follow.
        self._before_wait = loop.prepare(priority=-1)
        self._before_wait.start(self._hand_over)
        self._wake_up = loop.async_()
        self._wake_up.start(self._wake_greenlets)
        self._fails = False
        self._is_closing = False
        self._ended = _new_lock()
        self._ended.acquire()
        _start_thread(self._work, ())

    def is_blocked(self) -> bool:
        """Return whether lines cannot be written, or one has been waiting for too long."""
        return self._fails or self._is_late()

    def add(self, line: str) -> Callable[[], bool]:
        """See AuditLog."""
        is_of_loop = _get_ident() == self._loop_thread
        added = _Line(line, is_of_loop=is_of_loop)
        self._lines.append(added)
        if is_of_loop:
            self._is_added_by_loop = True
        else:
            self._added.put(None)
        return partial(added.wait, self._seconds)

    def _hand_over(self) -> None:
        """Wake up the thread, in the event loop before that waits."""
        if self._is_added_by_loop:
            self._is_added_by_loop = False
            self._added.put(None)

    def close(self, seconds: float) -> None:
        """Wait until all lines are written, but not longer than so many seconds."""
        self._is_closing = True
        self._added.put(None)
        self._ended.acquire(True, seconds)
        if self._lines:
            count = len(self._lines)
            lines = "line" if count == 1 else "lines"
            _log.error("%d %s of the audit log could not be written", count, lines)

    def _is_late(self) -> bool:
        try:
            return time.monotonic() - self._lines[0].added > self._seconds
        except IndexError:
            return False

    def _work(self) -> None:
        is_closing = False
        while not is_closing:
            self._added.get()
            is_closing = self._is_closing  # before the lines: none is added after it is set
            while self._lines:
                batch = self._next_batch()
                if not self._write(b"".join(line.data for line in batch)):
                    break
                self._report(batch)
        self._ended.release()

    def _next_batch(self) -> list["_Line"]:
        """Return the oldest lines, as many as can be written in one piece."""
        batch, size = [self._lines[0]], len(self._lines[0].data)
        for number in range(1, len(self._lines)):
            line = self._lines[number]
            size += len(line.data)
            if size > MAX_RECORD:
                break
            batch.append(line)
        return batch

    def _write(self, data: bytes) -> bool:
        """Write data; try again while that fails, but not at the end. Return whether it is done."""
        while True:
            try:
                self._file.write(data)
            except OSError as error:
                if not self._fails:
                    self._fails = True
                    _log.error("the audit log cannot be written: %s", error.strerror)
                self._wake([self._lines[number] for number in range(len(self._lines))])
                if self._is_closing:
                    return False
                _sleep(_RETRY_SECONDS)
            else:
                return True

    def _report(self, batch: Sequence["_Line"]) -> None:
        """Let those go on whose lines have been written."""
        if self._fails or self._is_late():
            seconds = time.monotonic() - batch[0].added
            _log.warning("the audit log is written again, after %.0f s", seconds)
        for line in batch:
            line.is_written = True
            self._lines.popleft()
        self._fails = False
        self._wake(batch)

    def _wake(self, lines: Sequence["_Line"]) -> None:
        for line in lines:
            if line.lock:
                line.lock.release()
                line.lock = None
        self._woken.extend(line for line in lines if line.event)
        self._wake_up.send()

    def _wake_greenlets(self) -> None:
        while self._woken:
            event = self._woken.popleft().event
            assert event
            event.set()


class _Line:
    """A line, and what wakes up whoever waits for it: a greenlet of the loop, or a thread."""

    __slots__ = ("added", "data", "event", "is_written", "lock")

    def __init__(self, text: str, *, is_of_loop: bool) -> None:
        self.data = text.encode("ascii") + b"\n"
        self.added = time.monotonic()
        self.is_written = False
        self.event = Event() if is_of_loop else None
        self.lock = None if is_of_loop else _new_lock()
        if self.lock:
            self.lock.acquire()

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most, until it is written or fails; return whether it is written."""
        lock = self.lock
        if self.event:
            self.event.wait(seconds)
        elif lock:  # there is none any more if the line is written already
            lock.acquire(True, seconds)
        return self.is_written


class _File:
    """The file of a handler, by a descriptor of its own.

    SIGUSR1 has gunicorn close the stream of the handler, and a write may hang then: it must neither
    hold up the event loop by a lock, nor go on with a descriptor that is another file's meanwhile.
    """

    def __init__(self, handler: "logging.StreamHandler[Any]") -> None:
        self._handler = handler
        self._stream: object = None
        self._descriptor = -1
        self._output = LineOutput()

    def write(self, data: bytes) -> None:
        """Write all of the data, whose lines are written anew after a failure. Raise OSError."""
        self._output.write(self._current_descriptor(), data)

    def _current_descriptor(self) -> int:
        handler = self._handler
        handler.acquire()  # gunicorn replaces the stream with it
        try:
            # If gunicorn cannot open the file again, it leaves none, and does not try once more.
            if isinstance(handler, logging.FileHandler) and not handler.stream:
                handler.stream = handler._open()
            if handler.stream is not self._stream:
                descriptor = os.dup(handler.stream.fileno())
                if self._descriptor >= 0:
                    os.close(self._descriptor)
                self._descriptor, self._stream = descriptor, handler.stream
        finally:
            handler.release()
        return self._descriptor
