"""A receiver of events: an HTTP server that verifies every request, as its operator would do."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from tests.support.wire import eventually

SECRET = "whsec_" + "c2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHM="


@dataclass(frozen=True)
class Received:
    """A request whose signature was verified."""

    event: dict[str, Any]
    fields: dict[str, str]

    @property
    def id(self) -> str:
        return str(self.event["id"])

    @property
    def kind(self) -> str:
        """The last word of the type."""
        return str(self.event["type"]).removeprefix("fileservice.")

    @property
    def name(self) -> str:
        return str(self.event["subject"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event["data"]
        return data


class Receiver:
    """A server on `port` of 127.0.0.1, or on a free one."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        """The requests that were accepted, in their order."""
        self.refused: list[Received] = []
        self.answer: Callable[[Received], int] = lambda _received: 204
        """Returns the status that a request is answered with."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fields = dict(self.headers)
                event = Webhook(SECRET).verify(body, fields)  # raises if it is not genuine
                assert event["id"] == fields["webhook-id"]
                received = Received(event, fields)
                status = receiver.answer(received)
                accepted = 200 <= status < 300
                (receiver.requests if accepted else receiver.refused).append(received)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/events?for=tests"
        self.settings = {
            "ON_STORED": self.url,
            "ON_STORED_SECRET": SECRET,
            "ON_STORED_PRIVATE": "true",
        }
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, name: str) -> list[Received]:
        """The requests about a file."""
        return [received for received in self.requests if received.name == name]

    def kinds(self, name: str) -> list[str]:
        """What was reported of a file, each event once, in the order of the first deliveries."""
        return [kind for _, kind in dict.fromkeys((r.id, r.kind) for r in self.of(name))]

    def wait_for(self, name: str, count: int = 1) -> list[Received]:
        """Wait until so many events about a file were received."""
        eventually(lambda: len({received.id for received in self.of(name)}) >= count)
        return self.of(name)


@contextmanager
def receiver(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver."""
    running = Receiver(port, tls)
    try:
        yield running
    finally:
        running.close()
