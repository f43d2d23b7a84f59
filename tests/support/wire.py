"""HTTP/1.1 on a socket: requests are sent byte for byte, answers are read as they were sent."""

import base64
import hashlib
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.support.servers import LiveServer

FIELDS_OF_A_FRAME = ("content-length:", "transfer-encoding:")


@dataclass(frozen=True)
class Answer:
    """One answer; `reason` is its status line."""

    status: int
    reason: str
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        code: str = self.json()["code"]
        return code

    def closes(self) -> bool:
        return self.headers.get("Connection", "").lower() == "close"


def request(line: str | bytes, *fields: str, body: bytes | None = None) -> bytes:
    """A request: `request("PUT /upload/a.txt", "If-None-Match: *", body=b"x")`.

    Content-Length is added unless a field says how the body is framed.
    """
    line = line.encode("ascii") if isinstance(line, str) else line
    head = [line + b" HTTP/1.1", b"Host: files.example", *(field.encode() for field in fields)]
    if body is not None and not any(f.lower().startswith(FIELDS_OF_A_FRAME) for f in fields):
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*head, b"", body or b""])


def chunked(*chunks: bytes) -> bytes:
    """The chunks as a chunked body with its end."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def part(name: str, data: bytes, filename: str | None = None, *fields: str) -> bytes:
    """One part of a form; `filename` goes between the quotes as it is."""
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return "\r\n".join([disposition, *fields, "", ""]).encode() + data


def form(*parts: bytes, boundary: bytes = b"XboundaryX") -> bytes:
    """The parts as the body of a form."""
    return b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts) + (
        b"--" + boundary + b"--\r\n"
    )


def form_request(
    body: bytes, *fields: str, line: str = "POST /upload", boundary: str = "XboundaryX"
) -> bytes:
    """The request of a form with this body."""
    return request(
        line, f"Content-Type: multipart/form-data; boundary={boundary}", *fields, body=body
    )


def sha256(data: bytes) -> str:
    """The value of a field that carries the digest of `data`."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


class Wire:
    """One connection to a server."""

    def __init__(self, server: LiveServer) -> None:
        self.socket = server.connect()
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def finish(self) -> None:
        """Send FIN; answers can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send RST and close the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def ask(self, data: bytes) -> Answer:
        """Send one request and read its answer."""
        self.send(data)
        return self.answer(to=data.partition(b" ")[0])

    def answer(self, to: bytes = b"GET") -> Answer:
        """Read the answer `to` a request of this method."""
        first = self._line()
        assert first.startswith("HTTP/1."), f"not the first line of an answer: {first!r}"
        status = int(first.split()[1])
        fields = []
        while line := self._line():
            name, _, value = line.partition(":")
            fields.append((name, value.strip()))
        headers = httpx.Headers(fields)
        return Answer(status, first, headers, self._body(to, status, headers))

    def ended(self) -> bool:
        """Whether the server has closed its side and everything it sent has been read."""
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    def _body(self, method: bytes, status: int, headers: httpx.Headers) -> bytes:
        if method == b"HEAD" or status in (204, 304) or status < 200:
            return b""
        if headers.get("Transfer-Encoding") == "chunked":
            return b"".join(iter(self._chunk, b""))
        if "Content-Length" in headers:
            return self._exactly(int(headers["Content-Length"]))
        return self._reader.read()

    def _chunk(self) -> bytes:
        data = self._exactly(int(self._line(), 16))
        assert self._line() == ""
        return data

    def _line(self) -> str:
        line = self._reader.readline()
        assert line.endswith(b"\r\n"), f"the connection ended in {line!r}"
        return line[:-2].decode("latin-1")

    def _exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        assert len(data) == count, f"{len(data)} of {count} bytes came"
        return data


def ask(server: LiveServer, data: bytes) -> Answer:
    """Send one request on a connection of its own and read the answer."""
    with Wire(server) as wire:
        return wire.ask(data)


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `holds()` is true; AssertionError if it is not within this time.

    The time is long for machines that have other work; a test of promptness gives a shorter one.
    What takes long is looked at less often: to ask a server costs more than to wait.
    """
    deadline, pause = time.monotonic() + seconds, 0.005
    while not holds():
        assert time.monotonic() < deadline, f"the condition does not hold after {seconds} seconds"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.05)


def assert_holds_only(server: LiveServer, names: Iterable[str]) -> None:
    """Exactly `names` are published, and after a while nothing is staged."""
    eventually(lambda: not server.staged())
    assert server.published() == sorted(names)
