"""Requests to a bucket pass on the trace context of the request that they are made for."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fileservice.request_record import trace_parent
from fileservice.storage.s3.bucket import Bucket, Request
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.timing import Timing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class _Handler(BaseHTTPRequestHandler):
    received: list[tuple[str | None, str]]

    def do_HEAD(self) -> None:  # the name in http.server
        self.received.append((self.headers["traceparent"], self.headers["Authorization"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_of: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    _Handler.received = []
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_trace_context_is_passed_on_and_not_signed(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    location = Location.parse(f"s3://bucket?endpoint=http://127.0.0.1:{server.server_port}")
    bucket = Bucket(location, Timing())
    for parent in ("", PARENT):
        token = trace_parent.set(parent)
        try:
            bucket.send(Request("HEAD", "a", {}, {}, b"")).close()
        finally:
            trace_parent.reset(token)
    bucket.close()
    (without, _), (passed_on, authorization) = _Handler.received
    assert (without, passed_on) == (None, PARENT)
    assert "traceparent" not in authorization
