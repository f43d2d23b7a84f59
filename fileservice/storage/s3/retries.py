"""Retries with exponential backoff and jitter."""

import math
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from fileservice.storage.s3.errors import (
    Conflict,
    OutcomeUnknown,
    RequestRejected,
    TransientError,
    translate_errors,
)

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 3.0


def attempts(seconds: float = math.inf, *, count: int | None = None) -> Iterator[None]:
    """Yield once, and then again after growing pauses, until `seconds` or `count` is reached."""
    deadline, pause, made = time.monotonic() + seconds, _FIRST_PAUSE, 0
    while True:
        yield
        made += 1
        if made == count or time.monotonic() + pause > deadline:
            return
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311  # jitter, no secret
        pause = min(2 * pause, _LONGEST_PAUSE)


def with_retries(call: Callable[[], T], seconds: float) -> T:
    """Make a request until the bucket answers it with a decision.

    A 409 (ConditionalRequestConflict, OperationAborted) is repeated as well: the bucket saw two
    requests for one key and carried out neither. Raises OutcomeUnknown once `seconds` are over, and
    RequestRejected, StorageUnavailable and StorageFull as they come.
    """
    answer_lost, latest = False, None
    try:
        for _ in attempts(seconds):
            try:
                with translate_errors():
                    return call()
            except (TransientError, Conflict) as error:
                latest = error
                answer_lost = answer_lost or isinstance(error, TransientError)
            except RequestRejected as error:
                error.repeated = answer_lost
                raise
        raise OutcomeUnknown(f"{latest}; the request was repeated for a while") from latest
    finally:
        latest = None  # its traceback leads to this frame, and so to the body of the request
