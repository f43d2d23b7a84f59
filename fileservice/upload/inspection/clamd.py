"""A client of clamd, the daemon of ClamAV. See clamd(8), section COMMANDS.

Each command has a connection of its own, begins with z and ends with a zero byte, and so does the
answer.
"""

import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fileservice.executor import NativeSockets

ClamdAddress = str | tuple[str, int]
"""The path of a Unix socket, or a host and a port."""

_CONNECT_SECONDS = 5.0
_CHECK_SECONDS = 2.0
"""Health checks must be answered within 3 seconds."""
_BLOCK = 256 * 1024
_MAX_SCANNED = (1 << 31) - 3
"""clamd calls longer files clean without having looked at them, whatever MaxFileSize is."""
_MAX_ANSWER = 4096
_MAX_SIGNATURE = 100
_TOO_LONG = "INSTREAM size limit exceeded. ERROR"


class ClamdError(Exception):
    """clamd has not said whether a file is clean; ``str(error)`` says why, for the operator."""


class TooLargeForClamd(ClamdError):
    """clamd does not take files of `size` bytes, or does not look at them."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"clamd scans no files of {size} bytes; call another scanner by ON_STAGED"
            if size > _MAX_SCANNED
            else f"clamd takes no files of {size} bytes; raise StreamMaxLength in clamd.conf"
        )


class Clamd:
    """Asks the clamd at `address`, which has `timeout` seconds for each file.

    All calls block a native thread.
    """

    def __init__(self, address: ClamdAddress, timeout: float, sockets: NativeSockets) -> None:
        self._address = address
        self._timeout = timeout
        self._sockets = sockets

    def require_ready(self, size: int, seconds: float = _CHECK_SECONDS) -> None:
        """Raise ClamdError if clamd does not answer in time, TooLargeForClamd for `size` bytes.

        No bytes are sent: clamd refuses a chunk that is too long as soon as it has its length.
        """
        deadline = time.monotonic() + seconds
        with self._connection(deadline) as connection:
            connection.send(b"zPING\0")
            answer = connection.answer()
        if answer != "PONG":
            raise ClamdError(f"clamd has answered {answer!r} to PING")
        if size > _MAX_SCANNED:
            raise TooLargeForClamd(size)
        with self._connection(deadline) as connection:
            connection.send(b"zINSTREAM\0" + struct.pack(">I", size))
            connection.end_sending()
            if connection.answer() == _TOO_LONG:
                raise TooLargeForClamd(size)

    def scan(self, descriptor: int, size: int) -> str | None:
        """Return the signature that the first `size` bytes of a file have, None if they are clean.

        Raise ClamdError, and OSError if the file cannot be read.
        """
        if size > _MAX_SCANNED:
            raise TooLargeForClamd(size)
        with self._connection(time.monotonic() + self._timeout) as connection:
            try:
                connection.send(b"zINSTREAM\0")
                for offset in range(0, size, _BLOCK):
                    block = os.pread(descriptor, min(_BLOCK, size - offset), offset)
                    connection.send(struct.pack(">I", len(block)) + block)
                if connection.has_answered():
                    raise ClamdError("clamd has answered before it had all of the file")
                connection.send(struct.pack(">I", 0))
            except ConnectionError as error:
                answer = ""
                with suppress(ConnectionError):
                    answer = connection.answer()  # it says why it takes no more
                if answer == _TOO_LONG:
                    raise TooLargeForClamd(size) from None
                raise ClamdError(f"clamd has closed the connection: {error.strerror}") from None
            answer = connection.answer()
        if answer == "stream: OK":
            return None
        if answer == _TOO_LONG:
            raise TooLargeForClamd(size)
        found = re.fullmatch(r"stream: (.+) FOUND", answer, re.DOTALL)
        if not found:
            raise ClamdError(f"clamd has answered {answer!r}")
        return re.sub(r"[^!-~]", "?", found[1])[:_MAX_SIGNATURE]

    @contextmanager
    def _connection(self, deadline: float) -> Iterator["_Connection"]:
        """Connect to clamd. Translate the errors of connecting, and of the time limit."""
        try:
            with self._connect(deadline) as connected:
                yield _Connection(connected, deadline)
        except TimeoutError:
            raise ClamdError("clamd has not answered in time") from None
        except ConnectionError as error:
            raise ClamdError(f"clamd has closed the connection: {error.strerror}") from None

    def _connect(self, deadline: float) -> socket.socket:
        last_error: OSError | None = None
        for family, address in self._addresses():
            connecting = self._sockets.new_socket(family, socket.SOCK_STREAM)
            try:
                connecting.settimeout(min(_CONNECT_SECONDS, _seconds_until(deadline)))
                connecting.connect(address)
            except OSError as error:
                connecting.close()
                last_error = error
            else:
                return connecting
        reason = (last_error and last_error.strerror) or "it does not answer"
        raise ClamdError(f"clamd cannot be reached: {reason}")

    def _addresses(self) -> list[tuple[int, str | tuple[str, int]]]:
        if isinstance(self._address, str):
            return [(socket.AF_UNIX, self._address)]
        host, port = self._address
        try:
            found = self._sockets.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ClamdError(f"the host of clamd cannot be found: {error.strerror}") from None
        return [(family, address) for family, _, _, _, address in found]


class _Connection:
    """A connection for one command, which ends at `deadline`. Calls raise TimeoutError then."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

    def send(self, data: bytes) -> None:
        self._socket.settimeout(_seconds_until(self._deadline))
        self._socket.sendall(data)

    def end_sending(self) -> None:
        with suppress(OSError):  # clamd has closed the connection, and has answered before
            self._socket.shutdown(socket.SHUT_WR)

    def has_answered(self) -> bool:
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    def answer(self) -> str:
        """Return the answer without the zero byte at its end; empty if there is none."""
        answer = b""
        while not answer.endswith(b"\0") and len(answer) <= _MAX_ANSWER:
            self._socket.settimeout(_seconds_until(self._deadline))
            received = self._socket.recv(_MAX_ANSWER)
            if not received:
                break
            answer += received
        return answer[:_MAX_ANSWER].removesuffix(b"\0").decode("utf-8", "backslashreplace")


def _seconds_until(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
