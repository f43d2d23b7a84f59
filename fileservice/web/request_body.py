"""The body of a request as blocks of bytes."""

import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fileservice.protocols.errors import BodyError, IncompleteBody
from fileservice.web.errors import LengthRequired, TooSlow, WrongContentType
from fileservice.wsgi_extensions import RequestBody, request_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FIRST_BLOCK = 16 * 1024
_SMALL_BODY = 128 * 1024
"""A body of up to this many bytes is one block if it arrives without a pause."""
_LARGEST_BLOCK = 2 << 20
_KEPT_BLOCKS = 2
"""So many blocks stay unchanged while the next one is received."""
_BLOCK_SECONDS = 0.5
"""A block is passed on after this time, full or not, so that what has arrived is stored."""
_THREAD_SECONDS = 0.002
"""The same in a thread that may not wait: so long it waits nevertheless, since a client that sends
at full speed needs less for a whole block."""
_MISSING_IN_CHUNKS = 256
"""A block of a body in chunks counts as full if at most this part of it is missing: it was received
with the sizes of the chunks in it, and so many bytes are missing when they are taken out."""
_NO_BUFFERS = (bytearray(),) * _KEPT_BLOCKS
_NOTHING = memoryview(b"")
_MIN_BYTES = 1024
"""The client must send this many bytes, or the rest of the body, within each idle timeout."""


def require_content_type(environ: "WSGIEnvironment", expected: str) -> None:
    """Raise WrongContentType if the body is not declared to be of the media type `expected`."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != expected:
        raise WrongContentType(expected)


def declared_length(environ: "WSGIEnvironment") -> int | None:
    """Return the length of the body in bytes, None if it is chunked; raise LengthRequired."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        return int(length)
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    raise LengthRequired


def blocks(environ: "WSGIEnvironment", idle_timeout: float) -> Iterator[memoryview]:
    """Yield the body as it arrives, to its declared end.

    A block stays unchanged until the third one after it is asked for. A body that arrives slowly
    comes in small blocks, about two a second.

    The blocks may be asked for in any thread. One that may not wait for the body gets an empty
    block if nothing has arrived, or if the body does not arrive at full speed.

    Raises IncompleteBody if the body ends early, which servers report as an ordinary end, and
    TooSlow if the client sends fewer than 1 KiB within `idle_timeout` seconds; everything that was
    received is yielded first.
    """
    length = declared_length(environ)
    body, received = request_body(environ), 0
    # Small at first: a slow client costs little memory, and a fast one soon has large blocks.
    size = length if length is not None and length <= _SMALL_BODY else _FIRST_BLOCK
    is_slow = False
    buffers = deque([bytearray(), *_NO_BUFFERS])
    rate = _MinimumRate(idle_timeout)
    while length is None or received < length:
        may_wait = body.may_wait()
        if is_slow and not may_wait:
            passed_on = time.monotonic()
            yield _NOTHING
            rate.extend_deadline(time.monotonic() - passed_on)
            continue
        if len(buffers[0]) < size:
            buffers[0] = bytearray(size)
        view = memoryview(buffers[0])
        if length is not None:
            view = view[: length - received]
        seconds = _BLOCK_SECONDS if may_wait else _THREAD_SECONDS
        enough = len(view) - (size // _MISSING_IN_CHUNKS if length is None else 0)
        filled, ended, error = _fill(view, enough, body, rate, seconds)
        received += filled
        is_slow = filled < enough
        if filled:
            passed_on = time.monotonic()
            yield view[:filled]
            rate.extend_deadline(time.monotonic() - passed_on)
        if error:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame, and so to the buffers
        if ended:
            break
        if len(view) == len(buffers[0]) and not is_slow:
            size = min(4 * size, _LARGEST_BLOCK)
        buffers.rotate(-1)
    if length is not None and received < length:
        raise IncompleteBody(f"the body ended after {received} of {length} bytes")


class _MinimumRate:
    """The rate below which a client only holds its connection: 1 KiB within each timeout."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._missing = _MIN_BYTES
        self._deadline = time.monotonic() + seconds

    def allows(self, count: int, now: float) -> bool:
        """Record that `count` more bytes have arrived by `now`; return whether that is enough."""
        self._missing -= count
        if self._missing <= 0:
            self._missing, self._deadline = _MIN_BYTES, now + self.seconds
        return now <= self._deadline

    def extend_deadline(self, seconds: float) -> None:
        """Do not count this time, in which nothing was read."""
        self._deadline += seconds


def _fill(
    view: memoryview, enough: int, body: RequestBody, rate: _MinimumRate, seconds: float
) -> tuple[int, bool, BodyError | None]:
    """Fill at least `enough` bytes of `view`, or as many as arrive within `seconds`.

    Return the number of bytes, whether the body has ended, and the error that ended it early.
    """
    filled, now = 0, time.monotonic()
    until = now + seconds
    while filled < enough:
        try:
            count = body.readinto(view[filled:])
        except TimeoutError:
            return filled, False, TooSlow(rate.seconds, _MIN_BYTES)
        except Exception as error:  # noqa: BLE001  # each server has its own for a broken body
            return filled, False, _incomplete(error)
        if count == 0:
            return filled, True, None
        filled += count or 0
        now = time.monotonic()
        if count and not rate.allows(count, now) and filled < enough:
            return filled, False, TooSlow(rate.seconds, _MIN_BYTES)
        left = until - now
        if left <= 0 or (filled < enough and not body.arrives_within(left)):
            break
    return filled, False, None


def _incomplete(cause: Exception) -> IncompleteBody:
    reason = str(cause) or type(cause).__name__
    error = IncompleteBody(f"the body broke off before its end: {reason}")
    error.__cause__ = cause
    return error
