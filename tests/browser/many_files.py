"""A store with many files, for the list on the page."""

import os

from tests.support.servers import LiveServer


def fill(server: LiveServer, count: int) -> None:
    """Store this many files, whose sizes and times are in no order of their names."""
    for number in range(count):
        path = server.store / f"file-{number:05}.txt"
        path.write_bytes(b"x" * (number * 7919 % 1000))
        os.utime(path, (1_700_000_000, 1_700_000_000 + number * 104_729 % 100_000))
