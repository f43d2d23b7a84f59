"""LogWriter: writes lines to a log in a native thread, as a pipe or a disk may not take them."""

import logging

from gevent import monkey

MAX_RECORD = 4096
"""What is written to a pipe at once arrives in one piece up to this many bytes (PIPE_BUF)."""
_MAX_WAITING = 1_000
"""So many calls of `write` may wait; the lines of further ones are counted, and left out."""

_log = logging.getLogger(__name__)

_new_lock = monkey.get_original("_thread", "allocate_lock")
_new_queue = monkey.get_original("queue", "SimpleQueue")
_start_thread = monkey.get_original("_thread", "start_new_thread")


class LogWriter:
    """Writes to `logger` in a thread of its own, which is started with the first line."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._queue = _new_queue()
        self._is_started = False
        self._left_out = 0
        self._ended = _new_lock()

    def write(self, lines: list[str]) -> None:
        """Have the lines written in a moment."""
        if not self._is_started:
            self._is_started = True
            self._ended.acquire()
            _start_thread(self._work, ())
        if self._queue.qsize() >= _MAX_WAITING:
            self._left_out += len(lines)
            return
        if self._left_out:
            _log.warning("%d lines of the request log were left out", self._left_out)
            self._left_out = 0
        self._queue.put(lines)

    def close(self, seconds: float) -> None:
        """Wait until all lines are written, but not longer than so many seconds."""
        if self._is_started:
            self._queue.put(None)
            self._ended.acquire(True, seconds)

    def _work(self) -> None:
        while (lines := self._queue.get()) is not None:
            for record in _records(lines):
                self._logger.info("%s", record)
        self._ended.release()


def _records(lines: list[str]) -> list[str]:
    """Join lines as far as they can be written in one piece."""
    records, size = [list[str]()], 0
    for line in lines:
        length = len(line.encode("utf-8", "surrogateescape")) + 1
        if records[-1] and size + length > MAX_RECORD:
            records.append([])
            size = 0
        records[-1].append(line)
        size += length
    return ["\n".join(record) for record in records]
