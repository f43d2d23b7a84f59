"""SharedRows: rows of numbers in memory that all workers share, which survive the workers.

Each worker adds to rows of its own, in the slot that the master has given to it, so nothing has to
be locked. The worker that gets the slot after it continues with the same rows, so that what a
counter says never becomes less. A row has the text that says what it counts.
"""

import mmap
import threading
from collections.abc import Iterator
from typing import TypeAlias

COLUMNS = 16
"""Numbers in a row."""
GAUGE = "gauge|"
"""The texts of rows begin so whose numbers are those of a worker while it lives."""
_TEXT_SIZE = 128
_ROW_SIZE = _TEXT_SIZE + 8 * COLUMNS
_ROWS = 512
"""In each slot. Texts beyond these would have to come from more routes, problems and statuses than
there are; they are counted in no row."""
_COUNT_SIZE = _ROW_SIZE
"""The first bytes of a slot are the number of its rows."""
_SLOT_SIZE = _COUNT_SIZE + _ROWS * _ROW_SIZE
_ZEROS = [0.0] * COLUMNS
_SLOTS = 128
"""The workers of more slots are not counted; the balance of connections has as many."""

Row: TypeAlias = "memoryview[float]"
"""The numbers of one row, in double precision."""


class SharedRows:
    """Memory for all workers, of which the system provides what is used (17 MB at most)."""

    def __init__(self) -> None:
        self._bytes = memoryview(mmap.mmap(-1, _SLOTS * _SLOT_SIZE))

    def slot(self, number: int | None) -> "Slot":
        """Return a slot, which only one process may write to at a time.

        Without a number, or if there is no such slot, it is one that no other process sees.
        """
        if number is None or number >= _SLOTS:
            return Slot(memoryview(bytearray(_SLOT_SIZE)))
        return Slot(self._bytes[number * _SLOT_SIZE : (number + 1) * _SLOT_SIZE])

    def forget_gauges(self, number: int | None) -> None:
        """Set what a dead worker said about itself to 0; the next one sees 0 as well."""
        if number is None or number >= _SLOTS:
            return
        for text, row in self.slot(number).rows():
            if text.startswith(GAUGE):
                for column in range(COLUMNS):
                    row[column] = 0.0

    def sums(self) -> dict[str, list[float]]:
        """Return the sums of the rows of all workers, by their texts."""
        sums: dict[str, list[float]] = {}
        for number in range(_SLOTS):
            for text, row in self.slot(number).rows():
                before = sums.get(text, _ZEROS)
                sums[text] = [a + b for a, b in zip(before, row, strict=True)]
        return sums


class Slot:
    """The rows of one worker."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._count = memory[:8].cast("Q")
        self._lock = threading.Lock()
        self._found = dict(self.rows())

    def row(self, text: str) -> Row:
        """Return the row with this text, which is made if there is none."""
        row = self._found.get(text)
        if row is not None:
            return row
        with self._lock:
            if text not in self._found:
                self._found[text] = self._new_row(text)
            return self._found[text]

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Return the rows, and what they are about."""
        for number in range(min(self._count[0], _ROWS)):
            text, numbers = self._parts(number)
            yield bytes(text).rstrip(b"\0").decode(), numbers

    def _new_row(self, text: str) -> Row:
        number, encoded = self._count[0], text.encode()
        if number >= _ROWS or len(encoded) > _TEXT_SIZE:
            return memoryview(bytearray(8 * COLUMNS)).cast("d")
        space, numbers = self._parts(number)
        space[: len(encoded)] = encoded
        self._count[0] = number + 1  # not before: others read the row from now on
        return numbers

    def _parts(self, number: int) -> "tuple[memoryview, Row]":
        start = _COUNT_SIZE + number * _ROW_SIZE
        row = self._memory[start : start + _ROW_SIZE]
        return row[:_TEXT_SIZE], row[_TEXT_SIZE:].cast("d")


_inherited: SharedRows | None = None


def share_rows() -> SharedRows:
    """Let the processes that are forked from this one count together. Once is enough."""
    global _inherited
    _inherited = _inherited or SharedRows()
    return _inherited


def shared_rows() -> SharedRows:
    """Return the rows that this process shares with others; nobody else's if it shares none."""
    return share_rows()
