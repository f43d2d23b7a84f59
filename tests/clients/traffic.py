"""The tus requests that went through a proxy: which bytes were sent and acknowledged."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

_HEAD_END = b"\r\n\r\n"
_LINE_END = b"\r\n"
_UNTIL_IT_ENDS = -1
_CHUNKED = -2


@dataclass
class Exchange:
    """One request and its answer, as far as they went through.

    `start` is the Upload-Offset of the request, `sent` the number of bytes of its body that
    followed. When its head went through, `known` was the largest offset of this path that had
    reached the client, and `answered` the largest that the server had sent.
    """

    method: str
    path: str
    start: int | None
    known: int
    answered: int
    began: float
    took: float | None = None
    sent: int = 0
    complete: bool = False
    status: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        return (
            f"{self.began:6.3f} s: {self.method} {self.path} at {self.start}, {self.sent} bytes"
            f"{'' if self.complete else ' (cut)'}: {self.status}, offset {self.offset},"
            f" after {f'{self.took:.3f} s' if self.took else 'ever'}"
            f" (the client knew {self.known}, the server had answered {self.answered})"
        )


class Traffic:
    """All exchanges of a proxy's connections, in the order of their beginning."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._lock = threading.Lock()
        self._born = time.monotonic()
        self._known: dict[str, int] = {}
        self._answered: dict[str, int] = {}

    def __str__(self) -> str:
        return "\n".join(map(str, self.exchanges))

    def uploads(self) -> list[str]:
        """The paths of all uploads that have been seen, in their order."""
        return list(self._answered)

    def ranges(self, path: str) -> list[tuple[int, int]]:
        """The ranges of bytes that PATCHes have sent there, in the order of their beginning."""
        return [
            (exchange.start, exchange.start + exchange.sent)
            for exchange in self.exchanges
            if exchange.path == path and exchange.start is not None and exchange.sent
        ]

    def bytes_sent_again(self, path: str) -> int:
        """How many bytes have been sent there again."""
        ranges = self.ranges(path)
        return sum(end - start for start, end in ranges) - max(end for _, end in ranges)

    def resent(self) -> list[str]:
        """Requests that sent bytes which the client knew the server to have."""
        return [
            str(exchange)
            for exchange in self.exchanges
            if exchange.start is not None and exchange.sent and exchange.start < exchange.known
        ]

    def decreased(self) -> list[str]:
        """Answers with an offset below one that the server had answered before."""
        return [
            str(exchange)
            for exchange in self.exchanges
            if exchange.offset is not None and exchange.offset < exchange.answered
        ]

    def begin(self, method: str, path: str, headers: httpx.Headers) -> Exchange:
        with self._lock:
            offset = headers.get("Upload-Offset", "")
            exchange = Exchange(
                method,
                path,
                int(offset) if offset.isdigit() else None,
                self._known.get(path, 0),
                self._answered.get(path, 0),
                time.monotonic() - self._born,
            )
            self.exchanges.append(exchange)
            return exchange

    def answer(self, exchange: Exchange, status: int, headers: httpx.Headers) -> None:
        with self._lock:
            exchange.status = status
            exchange.took = time.monotonic() - self._born - exchange.began
            if exchange.method == "POST" and status == 201:
                exchange.path = urlsplit(headers["Location"]).path
                self._answered.setdefault(exchange.path, 0)
            if headers.get("Upload-Offset", "").isdigit():
                exchange.offset = int(headers["Upload-Offset"])
                self._raise(self._answered, exchange)

    def deliver(self, exchange: Exchange) -> None:
        with self._lock:
            if exchange.offset is not None:
                self._raise(self._known, exchange)

    @staticmethod
    def _raise(offsets: dict[str, int], exchange: Exchange) -> None:
        assert exchange.offset is not None
        offsets[exchange.path] = max(offsets.get(exchange.path, 0), exchange.offset)


class Conversation:
    """The exchanges of one connection, from its bytes."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._open: list[Exchange] = []
        self._undelivered: list[Exchange] = []
        self._sending: Exchange | None = None
        self._requests = _Messages(self._request, self._request_body, self._request_end)
        self._answers = _Messages(self._answer)

    @property
    def interrupted(self) -> bool:
        """Whether the body of a request has begun, and has not been sent completely."""
        return self._sending is not None and self._sending.sent > 0

    def sent(self, data: bytes) -> None:
        """Note what has been forwarded to the server."""
        self._requests.feed(data)

    def received(self, data: bytes) -> None:
        """Note what the server has sent."""
        self._answers.feed(data)

    def delivered(self) -> None:
        """Note that all the server has sent has been forwarded to the client."""
        for exchange in self._undelivered:
            self._traffic.deliver(exchange)
        self._undelivered.clear()

    def _request(self, line: str, headers: httpx.Headers) -> int:
        method, path, _version = line.split()
        self._sending = self._traffic.begin(method, path, headers)
        self._open.append(self._sending)
        return _frame(headers, otherwise=0)

    def _request_body(self, count: int) -> None:
        assert self._sending is not None
        self._sending.sent += count

    def _request_end(self) -> None:
        assert self._sending is not None
        self._sending.complete = True
        self._sending = None

    def _answer(self, line: str, headers: httpx.Headers) -> int:
        status = int(line.split()[1])
        if status < 200 or not self._open:
            return 0 if status < 200 else _UNTIL_IT_ENDS
        exchange = self._open.pop(0)
        self._traffic.answer(exchange, status, headers)
        self._undelivered.append(exchange)
        if exchange.method == "HEAD" or status in (204, 304):
            return 0
        return _frame(headers, otherwise=_UNTIL_IT_ENDS)


def _frame(headers: httpx.Headers, otherwise: int) -> int:
    """The length of the body that follows, or one of the constants above."""
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return _CHUNKED
    return int(headers.get("Content-Length", otherwise))


class _Messages:
    """Finds the messages of HTTP/1.1 in the bytes of one direction, however they are cut."""

    def __init__(
        self,
        on_head: Callable[[str, httpx.Headers], int],
        on_body: Callable[[int], None] = lambda _count: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_head = on_head
        self._on_body = on_body
        self._on_end = on_end
        self._buffer = bytearray()
        self._step: Callable[[], bool] = self._head
        self._left = 0
        self._chunks = False

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and self._step():
            pass

    def _take(self, end: bytes) -> str | None:
        """Take the text before the next `end`; None until that has arrived."""
        at = self._buffer.find(end)
        if at < 0:
            return None
        text = self._buffer[:at].decode("latin-1")
        del self._buffer[: at + len(end)]
        return text

    def _head(self) -> bool:
        head = self._take(_HEAD_END)
        if head is None:
            return False
        line, *fields = head.split("\r\n")
        pairs = [field.partition(":") for field in fields]
        frame = self._on_head(
            line, httpx.Headers([(name, text.strip()) for name, _, text in pairs])
        )
        self._chunks = frame == _CHUNKED
        self._left = frame
        if self._chunks:
            self._step = self._chunk_size
        elif frame == _UNTIL_IT_ENDS:
            self._step = self._rest
        elif frame == 0:
            self._end()
        else:
            self._step = self._body
        return True

    def _body(self) -> bool:
        count = min(len(self._buffer), self._left)
        del self._buffer[:count]
        self._left -= count
        self._on_body(count)
        if self._left == 0:
            if self._chunks:
                self._step = self._chunk_end
            else:
                self._end()
        return True

    def _rest(self) -> bool:
        self._on_body(len(self._buffer))
        self._buffer.clear()
        return True

    def _chunk_size(self) -> bool:
        line = self._take(_LINE_END)
        if line is None:
            return False
        self._left = int(line.partition(";")[0], 16)
        self._step = self._body if self._left else self._trailer
        return True

    def _chunk_end(self) -> bool:
        if self._take(_LINE_END) is None:
            return False
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._take(_LINE_END)
        if line is None:
            return False
        if line == "":
            self._end()
        return True

    def _end(self) -> None:
        self._step = self._head
        self._on_end()
