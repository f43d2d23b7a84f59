"""What commands write to standard output."""

import errno
import os
import sys
from collections.abc import Sequence

import click


def write_result(text: str) -> None:
    """Write to standard output. Raise OSError, also if it is closed, which click ignores."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    click.echo(text)


def write_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows, of which the first is the head, in columns that are as wide as they need be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Return a text without characters that a terminal would obey: names come from strangers."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
