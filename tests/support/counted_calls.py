"""Counts calls of functions, which do not depend on the machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class CountedCalls:
    """How many there were."""

    count = 0


@contextmanager
def counted_calls(*, in_c: bool = False) -> Iterator[CountedCalls]:
    """Count the calls of functions in Python, and of those in C if wanted, in this thread."""
    counted = CountedCalls()
    events = {"call", "c_call"} if in_c else {"call"}

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        counted.count += event in events

    sys.setprofile(profile)
    try:
        yield counted
    finally:
        sys.setprofile(None)
