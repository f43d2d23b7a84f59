"""Clients that use little CPU: the kernel sends from files and drops what it receives."""

import base64
import os
import socket
import struct
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

_BUFFER = bytearray(1 << 20)
_CHUNK = 64 * 1024
"""The size of a chunk, which is that of curl's."""
_CHUNK_START = b"%x\r\n" % _CHUNK
_TIMEOUT = struct.pack("ll", 300, 0)
"""Seconds and microseconds."""
_BOUNDARY = "fileservice-load-boundary"


class Unexpected(Exception):
    """The answer is not the expected one."""


class Refused(Unexpected):
    """The server has too much to do, and says so (503)."""


def get(port: int, path: str, size: int, byte_range: str | None = None) -> None:
    """Download `path`; the answer must have `size` bytes. Raises Refused."""
    extra = f"Range: bytes={byte_range}\r\n" if byte_range else ""
    with _connect(port) as connection:
        connection.sendall(head("GET", path, extra + "Connection: close\r\n"))
        status, fields, received_early = _read_head(connection)
        if status == 503:
            raise Refused(f"GET {path}: {status} with {fields}")
        if status != (206 if byte_range else 200) or fields.get("content-length") != str(size):
            raise Unexpected(f"GET {path}: {status} with {fields}")
        left = size - received_early
        while left:
            received = connection.recv_into(_BUFFER, min(left, len(_BUFFER)), socket.MSG_TRUNC)
            if not received:
                raise Unexpected(f"GET {path} ended {left} bytes early")
            left -= received


def put(port: int, path: str, source: Path, size: int | None = None) -> None:
    """Upload `size` bytes with a Content-Length: the file, again and again."""
    size = size or source.stat().st_size
    with _connect(port) as connection, source.open("rb") as file:
        connection.sendall(head("PUT", path, f"Content-Length: {size}\r\n"))
        _send_file(connection, file, size)
        _expect(connection, f"PUT {path}", (201, 200, 204))


def put_chunked(port: int, path: str, chunks: Path, size: int) -> None:
    """Upload as much in chunks; `chunks` is what `chunked_file` has written, again and again."""
    with _connect(port) as connection, chunks.open("rb") as file:
        connection.sendall(head("PUT", path, "Transfer-Encoding: chunked\r\n"))
        _send_file(connection, file, size // _CHUNK * (len(_CHUNK_START) + _CHUNK + 2))
        connection.sendall(b"0\r\n\r\n")
        _expect(connection, f"chunked PUT {path}", (201, 200, 204))


def post_form(port: int, path: str, field: str, name: str, source: Path, size: int) -> None:
    """Upload as much in a form, as browsers do."""
    before = (
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="{field}"; filename="{name}"\r\nContent-Type: image/bmp\r\n\r\n'
    ).encode()
    after = f"\r\n--{_BOUNDARY}--\r\n".encode()
    length = len(before) + size + len(after)
    kind = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
    with _connect(port) as connection, source.open("rb") as file:
        connection.sendall(head("POST", path, f"{kind}Content-Length: {length}\r\n") + before)
        _send_file(connection, file, size)
        connection.sendall(after)
        _expect(connection, f"POST {path}", (201, 200, 204))


def refused_put(port: int, path: str, source: Path) -> None:
    """Send the whole file before reading the answer, which must be 409."""
    size = source.stat().st_size
    with _connect(port) as connection, source.open("rb") as file:
        connection.sendall(head("PUT", path, f"Content-Length: {size}\r\n"))
        _send_file(connection, file, size)
        _expect(connection, f"refused PUT {path}", (409,))


def tus_create(port: int, path: str, name: str, size: int) -> str:
    """Create an upload by tus and return the path of its URL."""
    metadata = base64.b64encode(name.encode()).decode()
    fields = (
        f"Tus-Resumable: 1.0.0\r\nUpload-Length: {size}\r\nContent-Length: 0\r\n"
        f"Upload-Metadata: filename {metadata}\r\n"
    )
    with _connect(port) as connection:
        connection.sendall(head("POST", path, fields))
        fields_of_answer = _expect(connection, f"POST {path}", (201,))
    return urlsplit(fields_of_answer["location"]).path


def tus_patch(port: int, path: str, source: Path, size: int, step: int) -> None:
    """Upload `size` bytes by tus, `step` bytes in each request, over one connection."""
    with _connect(port) as connection, source.open("rb") as file:
        for offset in range(0, size, step):
            count = min(step, size - offset)
            fields = (
                f"Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Length: {count}\r\n"
                "Content-Type: application/offset+octet-stream\r\n"
            )
            connection.sendall(head("PATCH", path, fields))
            _send_file(connection, file, count, offset)
            fields_of_answer = _expect(connection, f"PATCH {path}", (204,))
            if int(fields_of_answer["upload-offset"]) != offset + count:
                raise Unexpected(f"PATCH {path}: {fields_of_answer}")


def begin_put(port: int, path: str, length: int, first: bytes) -> socket.socket:
    """Begin an upload with the bytes `first` and return its connection.

    The server has accepted the upload and waits for its bytes: it has sent 100 Continue.
    """
    connection = _connect(port)
    fields = f"Content-Length: {length}\r\nExpect: 100-continue\r\n"
    connection.sendall(head("PUT", path, fields))
    _expect(connection, f"PUT {path}", (100,))
    connection.sendall(first)
    return connection


def persistent(port: int) -> socket.socket:
    """Return a connection for `exchange`."""
    connection = _connect(port)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(
    connection: socket.socket, request: bytes, size: int | None, expected: int = 200
) -> None:
    """Send a request and read its answer, whose body must have `size` bytes, if that is given."""
    connection.sendall(request)
    status, fields, received = _read_head(connection)
    if status != expected:
        raise Unexpected(f"{request[:200]!r}: {status}")
    length = int(fields["content-length"])
    if size not in (None, length):
        raise Unexpected(f"{request[:200]!r}: {length} bytes")
    while received < length:
        more = connection.recv(length - received)
        if not more:
            raise Unexpected(f"{request[:200]!r} ended {length - received} bytes early")
        received += len(more)


def read(port: int, path: str) -> None:
    """Read a small answer over a connection of its own."""
    with _connect(port) as connection:
        exchange(connection, head("GET", path, "Connection: close\r\n"), None)


def etag(port: int, path: str) -> str:
    """Return the ETag of a file."""
    with _connect(port) as connection:
        connection.sendall(head("HEAD", path, "Connection: close\r\n"))
        return _expect(connection, f"HEAD {path}", (200,))["etag"]


def _connect(port: int) -> socket.socket:
    """Return a connection, which waits in the kernel: Python's timeouts cost calls of poll."""
    connection = socket.create_connection(("127.0.0.1", port))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, _TIMEOUT)
    return connection


def _send_file(connection: socket.socket, file: BinaryIO, count: int, offset: int = 0) -> None:
    """Send bytes of a file from an offset, which begins anew where it ends."""
    size = os.fstat(file.fileno()).st_size
    end = offset + count
    while offset < end:
        at = offset % size
        offset += os.sendfile(connection.fileno(), file.fileno(), at, min(size - at, end - offset))


def head(method: str, path: str, fields: str) -> bytes:
    """Return the head of a request."""
    common = "Host: 127.0.0.1\r\nUser-Agent: peers\r\nAccept: */*\r\n"
    return f"{method} {path} HTTP/1.1\r\n{common}{fields}\r\n".encode()


def _expect(connection: socket.socket, what: str, statuses: tuple[int, ...]) -> dict[str, str]:
    """Return the header fields of the answer; raise Unexpected for another status."""
    status, fields, _ = _read_head(connection)
    if status not in statuses:
        raise Unexpected(f"{what}: {status}")
    return fields


def _read_head(connection: socket.socket) -> tuple[int, dict[str, str], int]:
    """Return the status, the header fields, and how many bytes of the body were received too."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise Unexpected(f"the connection ended after {data!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, separator, value in map(_split, lines[1:]) if separator}
    return int(lines[0].split()[1]), fields, len(rest)


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(": ")


def sample_file(path: Path, size: int) -> Path:
    """Write a bitmap of `size` bytes that cannot be compressed, and return its path."""
    head = (Path(__file__).parent.parent / "tests/samples/img.bmp").read_bytes()
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        file.write(head)
        while file.tell() < size:
            file.write(block[: size - file.tell()])
    return path


def chunked_file(path: Path, source: Path) -> Path:
    """Write a file in chunks without the last one, and return its path.

    Chunks that are made while they are sent cost the client more than all of its other work.
    """
    with source.open("rb") as file, path.open("wb") as chunks:
        while data := file.read(_CHUNK):
            chunks.write(_CHUNK_START + data + b"\r\n")
    return path


def text_file(path: Path, size: int, line: str, first: str = "", last: str = "") -> Path:
    """Write a text of `size` bytes of UTF-8 from lines, and return its path."""
    block = line.encode() * ((1 << 20) // len(line.encode()) + 1)
    with path.open("wb") as file:
        file.write(first.encode())
        while file.tell() + len(block) + len(last) <= size:
            file.write(block)
        file.write(b" " * (size - file.tell() - len(last)) + last.encode())
    return path
