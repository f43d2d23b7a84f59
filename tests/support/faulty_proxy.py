"""LameProxy: a TCP proxy before a store, which fails as it is told."""

import socket
import struct
import threading
from typing import Literal, Self

Mode = Literal["pass", "refuse", "silence"]
_BLOCK = 64 * 1024


class FaultyProxy:
    """Forwards to `port`; what it does with connections and bytes is what `mode` says just then."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.mode: Mode = "pass"
        self.resets = 0
        """How many more connections are reset."""
        self.passed = 0
        """Bytes that were forwarded, from either side."""
        self.reset_after = 0
        """Bytes that those forward before, from the one side or the other."""
        self._sockets: list[socket.socket] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection."""
        while self._sockets:
            end(self._sockets.pop())

    def become(self, mode: Mode) -> None:
        """From now on do so, on connections that there are, too."""
        with self._changed:
            self.mode = mode
            self._changed.notify_all()
        if mode == "refuse":
            self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "refuse":
                end(client)
                continue
            server = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        passed = 0
        try:
            while data := source.recv(_BLOCK):
                with self._changed:
                    self._changed.wait_for(lambda: self.mode != "silence")
                passed += len(data)
                self.passed += len(data)
                if self.resets and passed > self.reset_after:
                    self.resets -= 1
                    break
                target.sendall(data)
        except OSError:
            pass
        end(source)
        end(target)


def end(connection: socket.socket) -> None:
    """RST, and wake whoever waits on it."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
