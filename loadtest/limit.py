"""The limit: a server that does nothing but the system calls which a transfer cannot do without.

    python loadtest/limit.py --port 8000 --dir DIR                    SHA-256 in the same thread
    python loadtest/limit.py --port 8000 --dir DIR --digest thread    SHA-256 in a second thread
    python loadtest/limit.py --port 8000 --dir DIR --digest none --no-fsync

It serves one client at a time, checks nothing, and is no server for anybody but the clients of
this directory. PUT /<name> receives into a buffer (recv_into), hashes, writes, syncs, links the
file to its name and syncs the directory. GET /<name> sends the file (sendfile). What the service
needs beyond that is what its checks, its protocol and its other clients cost.
"""

import argparse
import contextlib
import hashlib
import os
import socket
import threading
from collections import deque
from pathlib import Path

MIB = 1 << 20
_RECEIVE = 2 * MIB
_SENDFILE = MIB
_BUFFERS = 4
"""How many buffers the receiving thread may be ahead of the hashing one."""


class Digest:
    """SHA-256 in the receiving thread."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._buffer = memoryview(bytearray(_RECEIVE))

    def take_buffer(self) -> memoryview:
        """Return a buffer whose last content was hashed."""
        return self._buffer

    def update(self, data: memoryview) -> None:
        """Hash the beginning of the buffer that was taken last."""
        self._sha256.update(data)

    def finish(self) -> str:
        """Return the digest of everything."""
        return self._sha256.hexdigest()


class NoDigest(Digest):
    """No digest at all."""

    def update(self, data: memoryview) -> None:
        """Do nothing."""


class ThreadedDigest(Digest):
    """SHA-256 in a second thread, which the receiving one waits for when it has no buffer left."""

    def __init__(self) -> None:
        super().__init__()
        self._free = deque(memoryview(bytearray(_RECEIVE)) for _ in range(_BUFFERS))
        self._taken: memoryview | None = None
        self._full: deque[tuple[memoryview, memoryview] | None] = deque()
        self._are_free = threading.Semaphore(_BUFFERS)
        self._are_full = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._hash_all)
        self._thread.start()

    def take_buffer(self) -> memoryview:
        self._are_free.acquire()
        self._taken = self._free.popleft()
        return self._taken

    def update(self, data: memoryview) -> None:
        assert self._taken is not None
        self._full.append((self._taken, data))
        self._are_full.release()

    def finish(self) -> str:
        self._full.append(None)
        self._are_full.release()
        self._thread.join()
        return super().finish()

    def _hash_all(self) -> None:
        while True:
            self._are_full.acquire()
            item = self._full.popleft()
            if item is None:
                return
            buffer, data = item
            self._sha256.update(data)
            self._free.append(buffer)
            self._are_free.release()


DIGESTS = {"none": NoDigest, "same": Digest, "thread": ThreadedDigest}


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", required=True, help="where files are stored and sent from")
    parser.add_argument("--digest", choices=DIGESTS, default="same")
    parser.add_argument("--no-fsync", dest="fsync", action="store_false")
    arguments = parser.parse_args()
    with socket.create_server(("127.0.0.1", arguments.port)) as listener:
        while True:
            connection, _ = listener.accept()
            # A client that only looks whether the server listens closes the connection at once.
            with connection, contextlib.suppress(ConnectionError):
                _serve(connection, arguments)


def _serve(connection: socket.socket, arguments: argparse.Namespace) -> None:
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            more = connection.recv(65536)
            if not more:
                return
            received += more
        head, _, received = received.partition(b"\r\n\r\n")
        request_line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = request_line.split(" ")
        path = Path(arguments.dir, target.rpartition("/")[2])
        if method == "GET":
            _get(connection, path)
            continue
        lengths = [
            field.partition(":")[2]
            for field in fields
            if field.lower().startswith("content-length:")
        ]
        length = int(lengths[0])
        _put(connection, path, length, received[:length], arguments)
        received = received[length:]


def _get(connection: socket.socket, path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    size = os.fstat(file).st_size
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    connection.sendmsg([head], [], socket.MSG_MORE)
    offset = 0
    while offset < size:
        offset += os.sendfile(connection.fileno(), file, offset, min(_SENDFILE, size - offset))
    os.close(file)


def _put(
    connection: socket.socket, path: Path, length: int, first: bytes, arguments: argparse.Namespace
) -> None:
    staged = path.with_name(f"{path.name}.{os.getpid()}")
    file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    digest = DIGESTS[arguments.digest]()
    left = length
    while left:
        buffer = digest.take_buffer()
        if first:
            count = len(first)
            buffer[:count] = first
            first = b""
        else:
            count = connection.recv_into(buffer, min(left, _RECEIVE))
        if not count:
            raise ConnectionError("the body ended early")
        data = buffer[:count]
        digest.update(data)
        os.write(file, data)
        left -= count
    text = digest.finish()
    if arguments.fsync:
        os.fsync(file)
    os.link(staged, path)
    staged.unlink()
    os.close(file)
    if arguments.fsync:
        directory = os.open(arguments.dir, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    connection.sendall(
        f"HTTP/1.1 201 Created\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    )


if __name__ == "__main__":
    main()
