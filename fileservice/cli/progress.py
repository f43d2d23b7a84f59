"""How far a transfer is, in the last line of a terminal; elsewhere only what happened."""

import sys
import time
from typing import Self

import click

from fileservice.cli.output import printable

_SECONDS = 0.1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class _Line:
    """The last line of a terminal; nothing where standard error is none."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._width = 0

    def write(self, text: str) -> None:
        """Replace the line by another one, or by none."""
        if self.is_shown and (text or self._width):
            click.echo(f"\r{text.ljust(self._width)}" + ("" if text else "\r"), err=True, nl=False)
            self._width = len(text)


class TerminalProgress:
    """A Progress (see `fileservice.client`) on standard error."""

    def __init__(self, label: str) -> None:
        self._label = printable(label)
        self._line = _Line()
        self._begin: tuple[float, int] | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.write("")

    def move(self, position: int, size: int | None) -> None:
        now = time.monotonic()
        if not self._line.is_shown or now < self._next:
            return
        if self._begin is None or position < self._begin[1]:
            self._begin = now, position
        self._next = now + _SECONDS
        seconds, first = now - self._begin[0], self._begin[1]
        rate = f"  {readable_size((position - first) / seconds)}/s" if seconds > 1 else ""
        if size is None:
            done = readable_size(position)
        else:
            percent = 100 * position // size if size else 100
            done = f"{percent} % of {readable_size(size)}"
        self._line.write(f"{self._label}  {done}{rate}")

    def say(self, text: str) -> None:
        self._line.write("")
        click.echo(f"{self._label}: {printable(text)}", err=True)


def readable_size(size: float) -> str:
    """Return a size in bytes with three digits or more, in the unit that people would choose."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"


class TerminalCounter:
    """How many files and bytes are done, in the last line of a terminal."""

    def __init__(self) -> None:
        self._line = _Line()
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, files: int, size: int) -> None:
        """Show the numbers, unless they were shown a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS
            self._line.write(f"{files} files, {readable_size(size)}")

    def clear(self) -> None:
        """Remove the line, so that another one can be written."""
        self._line.write("")
