"""A body in chunks (RFC 9112 section 7.1), whose data is received into the reader's own buffers."""

import re
import time
from collections.abc import Callable

from fileservice.serving.body import Body, TruncatedBody
from fileservice.serving.source import Source

_MAX_LINE = 8 * 1024
"""The longest line with the size of a chunk, and the longest trailer section, in bytes."""
_BUFFER_SIZE = 16 * 1024
"""How many bytes are received at a time where the size of a chunk is expected."""
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (_TOKEN, _TOKEN, _QUOTED)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:%b)*" % _EXTENSION)
"""The size of a chunk, of at most 64 bits, and its extensions (section 7.1.1)."""
_PLAIN_SIZE = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
"""What is between the data of two chunks, in almost all bodies."""
_CRLF = b"\r\n"


class InvalidChunk(ValueError):
    """The chunks of a body are malformed: it is unknown where the body ends."""


class ChunkedBody(Body):
    """A body in chunks. Its extensions mean nothing here, and its trailers are dropped.

    Whatever is not exactly what the grammar says is an error, such as a line that ends with LF
    only: a proxy before this server may read it in another way. The data of the next chunk, or more
    of this one, must arrive within `timeout` seconds, however much of the framing between them the
    client sends. `check_trailers` is given the lines of the trailer section, and raises if they are
    malformed.
    """

    def __init__(
        self,
        source: Source,
        on_first_read: Callable[[], None] | None,
        check_trailers: Callable[[bytes], None],
        timeout: float,
    ) -> None:
        super().__init__(source, on_first_read)
        self._check_trailers = check_trailers
        self._timeout = timeout
        self._buffer = bytearray(_BUFFER_SIZE)
        self._start = self._end = 0
        """Where in the buffer that which is not parsed begins, and where it ends."""
        self._keep(source.take_buffered())
        self._left = 0
        """Bytes of the current chunk that have not been read."""
        self._is_after_data = self._is_in_trailers = False

    def drop_received(self) -> int | None:
        return 0 if self.at_end else None

    def arrives_within(self, seconds: float) -> bool:
        return self.at_end or self._source.arrives_within(seconds)

    def _fill(self, view: memoryview) -> int | None:
        self._source.deadline = time.monotonic() + self._timeout
        try:
            return self._fill_with_arrived(view)
        finally:
            self._source.deadline = None

    def _fill_with_arrived(self, view: memoryview) -> int | None:
        """Fill the beginning of `view` with data; only wait if there is none yet."""
        filled = 0
        while filled < len(view) and not self.at_end:
            if self._left and self._start < self._end:
                filled += self._take_data(view[filled:])
            elif self._left:
                if filled:
                    return filled
                received = self._receive_data(view)
                if received is None:
                    return None
                filled = received  # the last chunk may have come with it
            elif not self._parse_framing() and (filled or not self._receive_framing()):
                return filled or None
        return filled

    def _take_data(self, view: memoryview) -> int:
        """Move data from the buffer to `view`."""
        count = min(len(view), self._left, self._end - self._start)
        view[:count] = memoryview(self._buffer)[self._start : self._start + count]
        self._start += count
        self._left -= count
        return count

    def _receive_data(self, view: memoryview) -> int | None:
        """Receive into `view`, and remove from it what is between the data of chunks.

        A read for each chunk would cost more than to move the data. What follows an unusual size,
        one that is incomplete, and the last chunk are left to the buffer.
        """
        received = self._source.readinto(view)
        if received is None:
            return None
        self._require(received)
        filled = position = min(received, self._left)
        self._left -= filled
        while match := _PLAIN_SIZE.match(view, position, received):
            size = int(match[1], 16)
            if not size:
                break
            position = match.end()
            count = min(size, received - position)
            view[filled : filled + count] = view[position : position + count]
            filled += count
            position += count
            self._left = size - count
        self._keep(view[position:received])
        return filled

    def _receive_framing(self) -> bool:
        """Receive more of what is between the data; return whether any has arrived."""
        self._keep(self._buffer[self._start : self._end])
        count = self._source.readinto(memoryview(self._buffer)[self._end :])
        if count is None:
            return False
        self._require(count)
        self._end += count
        return True

    def _keep(self, received: bytes | bytearray | memoryview) -> None:
        """Let the buffer have these bytes, which are not parsed yet."""
        if len(received) > len(self._buffer):
            self._buffer = bytearray(received)
        self._buffer[: len(received)] = received
        self._start, self._end = 0, len(received)

    def _require(self, count: int) -> None:
        if not count:
            raise TruncatedBody("the body ended before its last chunk")

    def _parse_framing(self) -> bool:
        """Parse up to the data of the next chunk, or to the end; return whether it has arrived."""
        if self._is_after_data:
            if self._end - self._start < len(_CRLF):
                return False
            if not self._skip(_CRLF):
                raise InvalidChunk("the data of a chunk does not end where its size says")
            self._is_after_data = False
        if not self._is_in_trailers:
            line = self._take_until(_CRLF)
            if line is None:
                return False
            match = _SIZE_LINE.fullmatch(line)
            if not match:
                raise InvalidChunk("the size of a chunk or its extensions are malformed")
            self._left = int(match[1], 16)
            if self._left:
                self._is_after_data = True
                return True
            self._is_in_trailers = True
        return self._parse_trailers()

    def _parse_trailers(self) -> bool:
        if not self._skip(_CRLF):
            section = self._take_until(_CRLF + _CRLF)
            if section is None:
                return False
            if section.count(b"\n") != section.count(_CRLF):
                raise InvalidChunk("a line of the trailer section ends with LF only")
            self._check_trailers(section)
        self._source.unread(bytes(self._buffer[self._start : self._end]))
        self.at_end = True
        return True

    def _skip(self, expected: bytes) -> bool:
        """Skip these bytes if they come next; return whether they do."""
        found = self._buffer.startswith(expected, self._start, self._end)
        if found:
            self._start += len(expected)
        return found

    def _take_until(self, end: bytes) -> bytes | None:
        """Return what comes before `end`, and skip both; None if it has not all arrived."""
        position = self._buffer.find(end, self._start, self._end)
        size = (self._end if position < 0 else position) - self._start
        if size > _MAX_LINE:
            raise InvalidChunk(f"what is between two chunks has more than {_MAX_LINE} bytes")
        if position < 0:
            return None
        taken = bytes(self._buffer[self._start : position])
        self._start = position + len(end)
        return taken
