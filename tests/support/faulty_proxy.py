"""FaultyProxy: a TCP proxy in front of a store, which fails in the ways that a test asks for."""

import contextlib
import socket
import struct
import threading
from typing import Literal, Self

Mode = Literal["pass", "refuse", "silence"]
_BLOCK = 64 * 1024


class FaultyProxy:
    """A proxy that listens on `port` of 127.0.0.1 and forwards to the port it was made with.

    In mode "pass" it forwards; in mode "refuse" it resets every connection; in mode "silence" it
    keeps connections open and holds back their bytes until the mode changes.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.mode: Mode = "pass"
        self.resets = 0
        """How many more connections are reset after they have forwarded `reset_after` bytes."""
        self.reset_after = 0
        """Bytes in one direction that a connection forwards before it is reset."""
        self.silence_after: int | None = None
        """Bytes in both directions of all connections after which the mode becomes "silence"."""
        self.passed = 0
        """Bytes that were forwarded, in either direction."""
        self._sockets: list[socket.socket] = []
        self._mode_changed = threading.Condition()
        self._resets_change = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        while self._sockets:
            reset(self._sockets.pop())

    def become(self, mode: Mode) -> None:
        """Change the mode, which also applies to the connections that are open."""
        with self._mode_changed:
            self.mode = mode
            self._mode_changed.notify_all()
        if mode == "refuse":
            self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the listener was closed
                return
            if self.mode == "refuse":
                reset(client)
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _take_reset(self) -> bool:
        """Count one reset down, if one is left: two connections may ask at the same time."""
        with self._resets_change:
            if not self.resets:
                return False
            self.resets -= 1
            return True

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        forwarded = 0
        with contextlib.suppress(OSError):  # the connection was reset, by whomever
            while data := source.recv(_BLOCK):
                if self.silence_after is not None and self.passed >= self.silence_after:
                    self.silence_after = None
                    self.become("silence")
                with self._mode_changed:
                    self._mode_changed.wait_for(lambda: self.mode != "silence")
                forwarded += len(data)
                self.passed += len(data)
                if forwarded > self.reset_after and self._take_reset():
                    break
                target.sendall(data)
        reset(source)
        reset(target)


def reset(connection: socket.socket) -> None:
    """Send RST, and wake the threads that wait on the connection."""
    with contextlib.suppress(OSError):  # it has ended already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
