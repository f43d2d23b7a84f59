"""LogWriter: writes lines to a log in a native thread, as a pipe or a disk may not take them."""

import logging
import os
import select
from collections import defaultdict
from stat import S_ISREG

from gevent import monkey

MAX_RECORD = 4096
"""What is written to a pipe at once arrives in one piece up to this many bytes (PIPE_BUF)."""
_MAX_WAITING = 1_000
"""So many calls of `write` may wait; the lines of further ones are counted, and left out."""
_PLAIN_HANDLERS = (logging.StreamHandler, logging.FileHandler)
"""Handlers of these types, none derived from them, do nothing but write to their stream."""

_log = logging.getLogger(__name__)

_new_lock = monkey.get_original("_thread", "allocate_lock")
_new_queue = monkey.get_original("queue", "SimpleQueue")
_new_poll = monkey.get_original("select", "poll")
_start_thread = monkey.get_original("_thread", "start_new_thread")


class LogWriter:
    """Writes to `logger` in a thread of its own, which is started with the first line.

    It writes to the files of the logger itself. With a LogRecord, its formatting and a flush for
    each line, the thread would hold up the event loop as often. Where a handler does more than to
    write, each line is a LogRecord nevertheless.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._queue = _new_queue()
        self._is_started = False
        self._left_out = 0
        self._is_failing = False
        self._outputs: defaultdict[logging.Handler, LineOutput] = defaultdict(LineOutput)
        self._ended = _new_lock()

    def write(self, lines: list[str]) -> None:
        """Have the lines written in a moment."""
        if not self._is_started:
            self._start()
        if not self._is_started or self._queue.qsize() >= _MAX_WAITING:
            self._left_out += len(lines)
            return
        if self._left_out:
            _log.warning("%d lines of the request log were left out", self._left_out)
            self._left_out = 0
        self._queue.put("\n".join([*lines, ""]).encode(errors="backslashreplace"))

    def _start(self) -> None:
        """Start the thread, unless the system allows no more at present."""
        self._ended.acquire()
        try:
            _start_thread(self._work, ())
        except RuntimeError:
            self._ended.release()
        else:
            self._is_started = True

    def close(self, seconds: float) -> None:
        """Wait until all lines are written, but not longer than so many seconds."""
        if self._is_started:
            self._queue.put(None)
            self._ended.acquire(True, seconds)

    def _work(self) -> None:
        while (lines := self._queue.get()) is not None:
            try:
                self._write(lines)
                self._is_failing = False
            except (OSError, ValueError) as error:  # the file may have been closed meanwhile
                if not self._is_failing:
                    _log.error("the request log cannot be written: %s", error)
                self._is_failing = True
        self._ended.release()

    def _write(self, lines: bytes) -> None:
        """Write to all handlers of the logger. Raise OSError."""
        if not _only_writes(self._logger):
            for line in lines.decode().split("\n")[:-1]:
                self._logger.info("%s", line)
            return
        for handler in self._logger.handlers:
            assert isinstance(handler, logging.StreamHandler)
            handler.acquire()  # its file may be opened again meanwhile
            try:
                if handler.stream is None:  # gunicorn could not open the file again just now
                    raise ValueError("its file is not open")
                descriptor = handler.stream.fileno()
                is_file = S_ISREG(os.fstat(descriptor).st_mode)
                for piece in [lines] if is_file else _pieces(lines):
                    self._outputs[handler].write(descriptor, piece)
            finally:
                handler.release()


class LineOutput:
    """Writes lines, and begins a new one after one that was cut off, as by a disk that is full."""

    def __init__(self) -> None:
        self._is_torn = False

    def write(self, descriptor: int, lines: bytes) -> None:
        """Write all of the lines, in a native thread. Raise OSError."""
        rest = memoryview(b"\n" + lines if self._is_torn else lines)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                _wait_for_room(descriptor)
            else:
                self._is_torn = bool(rest)


def _only_writes(logger: logging.Logger) -> bool:
    """Return whether all that a logger does with a message is to write it to open files."""
    is_plain = logger.isEnabledFor(logging.INFO) and not logger.filters
    is_last = logger.parent is None or not logger.propagate
    return is_plain and is_last and all(map(_is_plain, logger.handlers))


def _is_plain(handler: logging.Handler) -> bool:
    if type(handler) not in _PLAIN_HANDLERS or handler.filters or handler.level > logging.INFO:
        return False
    formatter = handler.formatter
    if formatter and (type(formatter) is not logging.Formatter or formatter._fmt != "%(message)s"):
        return False
    stream = handler.stream  # type: ignore[attr-defined]
    try:
        return stream is not None and stream.fileno() >= 0
    except (OSError, ValueError):  # it is in memory, or closed
        return False


def _pieces(lines: bytes) -> list[bytes]:
    """Divide lines into as few pieces as possible that arrive whole; one line is not divided."""
    pieces, start = [], 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + MAX_RECORD) + 1
        end = end or lines.index(b"\n", start) + 1
        pieces.append(lines[start:end])
        start = end
    return pieces


def _wait_for_room(descriptor: int) -> None:
    """Wait in a native thread until a pipe takes something that does not block.

    Whoever has started the service may have made its standard output so.
    """
    poll = _new_poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
