"""TransferResponse: sends the response to one request, in as few segments as it needs."""

import os
import socket as sockets
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any, NamedTuple

from gevent.socket import socket

from fileservice.serving.gunicorn_api import (
    CONNECTION_FIELDS,
    FIELD_NAME,
    FIELD_VALUE,
    BaseResponse,
    Request,
)
from fileservice.serving.transmit import send, send_file
from fileservice.wsgi_extensions import FileRegion, FileRegions, Meter

_SMALL_FILE = 16 * 1024
"""Regions up to this size (bytes) are sent in one segment with the head."""


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class _Names(NamedTuple):
    """Names of fields to which there is nothing to object."""

    length: int | None
    """The number of Content-Length among them."""


@lru_cache(maxsize=256)
def _names(names: tuple[str, ...]) -> _Names | None:
    """Return None if gunicorn has to look at each of the fields with these names.

    The results are kept: most responses have the same fields.
    """
    lowered = [name.lower() for name in names]
    are_valid = (
        all(names)
        and FIELD_NAME.fullmatch("".join(names))
        and CONNECTION_FIELDS.isdisjoint(lowered)
        and lowered.count("content-length") <= 1
    )
    if not are_valid:
        return None
    return _Names(lowered.index("content-length") if "content-length" in lowered else None)


class TransferResponse(BaseResponse):
    """A response whose head is held back until there is something to send with it.

    `must_be_last` returns whether the connection has to close after it, whatever the request says.
    """

    def __init__(
        self, request: Request, connection: socket, cfg: Any, must_be_last: Callable[[], bool]
    ) -> None:
        super().__init__(request, connection, cfg)
        self._must_be_last = must_be_last
        self._held = b""
        self._head_size = 0
        self._bytes_sent = 0
        self.meter: Meter | None = None
        """Is told how many bytes of the body are sent."""
        self.headers_sent = False
        self.closes = False
        """Whether the head says that the connection closes."""
        self.outcome = "-"
        """How the request ended, for the request log."""

    @property
    def delivered(self) -> int:
        """The number of bytes of the body, with its framing, that the kernel has taken so far."""
        return max(0, self._bytes_sent - self._head_size)

    def should_close(self) -> bool:
        return bool(super().should_close()) or self._must_be_last()

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Check and take the fields of the application, all at once if there is nothing to object.

        gunicorn's own does the same field by field, which takes three times as long.
        """
        names = _names(tuple([name for name, _ in headers]))
        if not names or not FIELD_VALUE.fullmatch("".join([value for _, value in headers])):
            super().process_headers(headers)
            return
        if names.length is not None:
            self.response_length = int(headers[names.length][1])
        self.headers += [(name, value.strip(" \t")) for name, value in headers]

    def send_headers(self) -> None:
        if self.headers_sent:
            return
        self.closes = self.should_close()
        self._held = self.head(_date(int(time.time())), closes=self.closes)
        self._head_size = len(self._held)
        self.headers_sent = True

    def send_body(self, body: Iterable[bytes]) -> None:
        """Send all of the application's response, FileRegions of a descriptor by sendfile(2)."""
        descriptor = body.descriptor if isinstance(body, FileRegions) else None
        if isinstance(body, FileRegions) and descriptor is not None:
            try:
                self.send_headers()
                for piece in body.pieces:
                    if isinstance(piece, bytes):
                        self._held += piece
                    else:
                        self._send_region(descriptor, piece)
                self.close()
            finally:
                body.mark_sent(self.delivered)
        else:
            for block in body:
                self.write(block)
            self.close()

    def close(self) -> None:
        """Send what is left: the head of a response without a body, or the end of the chunks."""
        self.send_headers()
        end = b"0\r\n\r\n" if self.chunked else b""
        if self._held or end:
            self._send(self._take_held() + end)

    def send_block(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        held = self._take_held()
        self._send(held + data if held else data)

    def _send_region(self, descriptor: int, region: FileRegion) -> None:
        offset, count = region
        held = self._take_held()
        if count <= _SMALL_FILE:
            data = os.pread(descriptor, count, offset)
            if len(data) != count:
                raise EOFError("the file became shorter while it was sent")
            self._send(held + data)
            return
        if held:
            self._send(held, sockets.MSG_MORE)
        send_file(self.sock, descriptor, offset, count, self._count)

    def _send(self, data: bytes, flags: int = 0) -> None:
        send(self.sock, data, flags, self._count)

    def _count(self, sent: int) -> None:
        if not self.meter:
            self._bytes_sent += sent
            return
        before = self.delivered
        self._bytes_sent += sent
        self.meter.count(self.delivered - before)

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held
