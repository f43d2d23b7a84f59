"""A file whose bytes and date the tests of conditions and ranges know, and requests for it."""

import random
from email.utils import formatdate

from tests.support.wire import request

THEN = 1_500_000_000
"""Its modification time."""
BYTES = random.Random(7).randbytes(100_000)
SIZE = len(BYTES)


def date(seconds: int) -> str:
    """A time as HTTP writes it."""
    return formatdate(seconds, usegmt=True)


def get(*fields: str, method: str = "GET", name: str = "data.bmp") -> bytes:
    """A request for it with these fields."""
    return request(f"{method} /download/{name}", *fields)
