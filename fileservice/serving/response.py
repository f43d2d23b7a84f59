"""The answer to one request, on its way out in as few segments as it needs."""

import os
import socket as sockets
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from gevent.socket import socket
from gunicorn.http.message import Request
from gunicorn.http.wsgi import FileWrapper, Response

from fileservice.serving.transmit import send, send_file

_SMALL_FILE = 16 * 1024
"""Files up to this size (bytes) leave in one segment with the headers."""

Segment = bytes | tuple[int, int, int]
"""Bytes, or (descriptor, offset, count) for a piece of a file."""


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class TransferResponse(Response):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's Response, which keeps the headers back until there is something to go with them.

    `last` tells whether the connection must close after it, whatever the request says.
    """

    def __init__(
        self, request: Request, connection: socket, cfg: Any, last: Callable[[], bool]
    ) -> None:
        super().__init__(request, connection, cfg)
        self._last = last
        self._head = b""
        self._head_size = 0
        self._on_the_wire = 0
        self.headers_sent = False
        self.closes = False
        """Whether the client was told that the connection closes."""
        self.outcome = "-"
        """How it ended, for the access log."""

    @property
    def delivered(self) -> int:
        """Bytes of the body, as it is framed, that the kernel has taken so far."""
        return max(0, self._on_the_wire - self._head_size)

    def should_close(self) -> bool:
        return bool(super().should_close()) or self._last()

    def send_headers(self) -> None:
        if self.headers_sent:
            return
        self.closes = self.should_close()
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\n"
            f"Date: {_date(int(time.time()))}\r\n"
            f"Connection: {'close' if self.closes else 'keep-alive'}\r\n"
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        lines.append("\r\n")
        self._head = "".join(lines).encode("latin-1")
        self._head_size = len(self._head)
        self.headers_sent = True

    def send_body(self, body: Iterable[bytes]) -> None:
        """Send the application's answer to its end.

        An answer made with `wsgi.file_wrapper` is sent by the kernel from where its file stands;
        so are the pieces of files in an answer that has `segments`, an iterable of Segment.
        """
        if isinstance(body, FileWrapper) and self.response_length is not None:
            self.send_headers()
            descriptor = body.filelike.fileno()
            offset = os.lseek(descriptor, 0, os.SEEK_CUR)
            self._send_segments([(descriptor, offset, self.response_length)])
        elif hasattr(body, "segments"):
            self.send_headers()
            self._send_segments(body.segments)
        else:
            for block in body:
                self.write(block)
        self.close()

    def close(self) -> None:
        """Send what is still to be sent: the headers of an empty answer, the end of the chunks."""
        self.send_headers()
        end = b"0\r\n\r\n" if self.chunked else b""
        if self._head or end:
            self._send(self._take_head() + end)

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        head = self._take_head()
        self._send(head + data if head else data)

    def _send_segments(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, bytes):
                self._head += segment
                continue
            descriptor, offset, count = segment
            head = self._take_head()
            if count <= _SMALL_FILE:
                data = os.pread(descriptor, count, offset)
                if len(data) != count:
                    raise EOFError("the file is shorter than it was")
                self._send(head + data)
                continue
            if head:
                self._send(head, sockets.MSG_MORE)
            send_file(self.sock, descriptor, offset, count, self._count)

    def _send(self, data: bytes, flags: int = 0) -> None:
        send(self.sock, data, flags, self._count)

    def _count(self, taken: int) -> None:
        self._on_the_wire += taken

    def _take_head(self) -> bytes:
        head, self._head = self._head, b""
        return head
