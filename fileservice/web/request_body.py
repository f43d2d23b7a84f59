"""The body of a request as blocks of bytes.

BodyError
├── LengthRequired   the request does not say that it has a body, nor how it ends
├── IncompleteBody   the client stopped before the end
├── TooSlow          the client sent nothing, or next to nothing, for too long
└── WrongContentType the body is not declared as what it has to be
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from fileservice.protocols.errors import BodyError, IncompleteBody
from fileservice.web.errors import LengthRequired, TooSlow, WrongContentType

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FIRST_BLOCK = 16 * 1024
_LARGEST_BLOCK = 2 << 20
_SLOW_SECONDS = 0.5
"""A block is given on after so long, full or not: what has arrived is kept, and seen."""
_LEAST = 1024
"""Bytes, or the rest, that must arrive within each idle timeout."""


def require_content_type(environ: "WSGIEnvironment", expected: str) -> None:
    """Raise WrongContentType for a body that is not declared to be of this type."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != expected:
        raise WrongContentType(expected)


def declared_length(environ: "WSGIEnvironment") -> int | None:
    """The length of the body in bytes, None if it is chunked; raises LengthRequired."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        return int(length)
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    raise LengthRequired


class _Pace:
    """Whether a client that keeps sending sends enough; else it only holds its connection."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = _LEAST
        self._until = time.monotonic() + seconds

    def keeps(self, count: int, now: float) -> bool:
        """Note that `count` bytes have come by `now`; whether that is fast enough."""
        self._left -= count
        if self._left <= 0:
            self._left, self._until = _LEAST, now + self._seconds
        return now <= self._until

    def forgive(self, seconds: float) -> None:
        """Do not count this time, in which nobody listened."""
        self._until += seconds


def blocks(environ: "WSGIEnvironment", idle_timeout: float) -> Iterator[memoryview]:
    """The body as it arrives, to its declared end; each block stays as it is for two turns.

    Each is the beginning of its buffer (`block.obj`), where bytes can be searched for. A body that
    trickles comes in small blocks, about two a second.

    Raises IncompleteBody when the client stops before, since servers give a body that was cut
    off as if that were its end, and TooSlow when the server has waited in vain for `idle_timeout`
    seconds, or got fewer than 1 KiB in them; all that was received before comes before that.
    """
    length = declared_length(environ)
    stream = environ["wsgi.input"]
    fill, arrives, received = _filler(stream), _arrives(stream), 0
    # Small at first: a client that trickles costs little memory, one that streams few switches.
    pair, turn, size = [bytearray(), bytearray()], 0, _FIRST_BLOCK
    pace = _Pace(idle_timeout)
    while length is None or received < length:
        if len(pair[turn]) < size:
            pair[turn] = bytearray(size)
        view = memoryview(pair[turn])
        if length is not None:
            view = view[: length - received]
        filled, ended, failure = _gather(fill, arrives, view, idle_timeout, pace)
        received += filled
        if filled:
            given = time.monotonic()
            yield view[:filled]
            pace.forgive(time.monotonic() - given)
        if failure:
            try:
                raise failure
            finally:
                del failure  # which holds this frame, and so the buffers
        if ended:
            break
        if filled == len(pair[turn]):
            size = min(4 * size, _LARGEST_BLOCK)
        turn = 1 - turn
    if length is not None and received < length:
        raise IncompleteBody(f"the body ended after {received} of {length} bytes")


def _gather(
    fill: Callable[[memoryview], int],
    arrives: Callable[[float], bool],
    view: memoryview,
    idle_timeout: float,
    pace: _Pace,
) -> tuple[int, bool, BodyError | None]:
    """Fill `view`, for half a second at most if it comes slowly.

    How many bytes it has, whether the body ended with them, and what broke it off.
    """
    filled, until = 0, time.monotonic() + _SLOW_SECONDS
    while filled < len(view):
        try:
            count = fill(view[filled:])
        except TimeoutError:
            return filled, False, TooSlow(idle_timeout, _LEAST)
        except Exception as error:  # noqa: BLE001  # each server has its own for a broken body
            return filled, False, _broken_off(error)
        if not count:
            return filled, True, None
        filled += count
        now = time.monotonic()
        if not pace.keeps(count, now) and filled < len(view):
            return filled, False, TooSlow(idle_timeout, _LEAST)
        left = until - now
        if left <= 0 or (filled < len(view) and not arrives(left)):
            break
    return filled, False, None


def _broken_off(cause: Exception) -> IncompleteBody:
    why = str(cause) or type(cause).__name__
    failure = IncompleteBody(f"the body broke off before its end: {why}")
    failure.__cause__ = cause
    return failure


def _arrives(body: Any) -> Callable[[float], bool]:
    """How to learn whether more comes within so many seconds; our own server tells."""
    raw = getattr(body, "raw", None)
    return getattr(raw, "arrives", lambda seconds: True)  # noqa: ARG005


def _filler(body: Any) -> Callable[[memoryview], int]:
    """How to fill a buffer from `wsgi.input`, which need not have readinto1 (PEP 3333)."""
    if hasattr(body, "readinto1"):
        return cast(Callable[[memoryview], int], body.readinto1)

    def fill(view: memoryview) -> int:
        data = body.read(len(view))
        view[: len(data)] = data
        return len(data)

    return fill
