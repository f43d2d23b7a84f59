"""What nginx sends to whom: in our configuration, in front of two that note what they get."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from cluster.run import proxy
from tests.support.servers import ROOT, free_port
from tests.support.wire import Wire, ask, chunked, eventually, request

BODY = b"a small body"


class Replica(ThreadingTCPServer):
    """Takes requests, and answers them unless it dies of them."""

    def __init__(self, front: "Front") -> None:
        self.front = front
        super().__init__(("127.0.0.1", 0), Conversation)
        threading.Thread(target=self.serve_forever, args=(0.02,)).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Conversation(BaseRequestHandler):
    """One connection from nginx."""

    server: Replica

    def handle(self) -> None:
        front = self.server.front
        while block := self.request.recv(1 << 16):
            got = bytearray(block)
            front.taken.append((self.server, got))
            while not whole(got):
                block = self.request.recv(1 << 16)
                assert block
                got += block
            if front.deaths:
                front.deaths -= 1
                return
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        front.given_up += 1


def whole(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end) and len(body) == (int(length[1]) if length else 0)


class Front:
    """nginx in front of two replicas."""

    def __init__(self) -> None:
        self.port = free_port()
        self.replicas: list[Replica] = []
        self.taken: list[tuple[Replica, bytearray]] = []
        """Who got a request, and what of it has come so far."""
        self.deaths = 0
        """How many requests will be read and not answered."""
        self.given_up = 0
        """How many connections nginx has ended."""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@pytest.fixture
def front(nginx: None, tmp_path: Path) -> Iterator[Front]:
    front = Front()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            replica = Replica(front)
            stack.callback(replica.stop)
            front.replicas.append(replica)
        ports = [replica.server_address[1] for replica in front.replicas]
        stack.enter_context(proxy(tmp_path, front.port, ports))
        yield front


class TestAReplicaThatDiesOfARequest:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
    def test_a_change_is_not_repeated_at_another_replica(self, front: Front, method: str) -> None:
        front.deaths = 1
        body = None if method == "DELETE" else BODY
        assert ask(front, request(f"{method} /upload/a.txt", body=body)).status == 502
        assert len(front.taken) == 1

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_safe_request_is_repeated_at_another_replica(self, front: Front, method: str) -> None:
        front.deaths = 1
        assert ask(front, request(f"{method} /download/a.txt")).status == 200
        (first, _), (second, _) = front.taken
        assert first is not second

    def test_it_gets_no_more_requests_after_two_failures(self, front: Front) -> None:
        front.replicas[0].stop()
        put = request("PUT /upload/a.txt", body=BODY)
        assert [ask(front, put).status for _ in range(40)].count(502) <= 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "GET"])
def test_requests_are_forwarded_unchanged_with_forwarded_fields(front: Front, method: str) -> None:
    line = f"{method} //upload/a%2Fb%c3?q=%20"
    lies = [f"X-Forwarded-{name}: lie" for name in ("For", "Proto", "Host", "Prefix")]
    assert ask(front, request(line, *lies, body=BODY)).status == 200
    [(_, got)] = front.taken
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        f"{line} HTTP/1.1",
        "Host: files.example",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: files.example",
        f"Content-Length: {len(BODY)}",
    ]
    assert body == BODY


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
@pytest.mark.parametrize("awaits", [(), ("Expect: 100-continue",)])
@pytest.mark.parametrize("frame", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_bodies_are_forwarded_as_they_arrive(
    front: Front, method: str, awaits: tuple[str, ...], frame: str
) -> None:
    half = b"~" * 1_000_000
    with Wire(front) as wire:
        wire.send(request(f"{method} /upload/a.txt", frame, *awaits))
        if awaits:
            assert wire.answer().status == 100
        body = chunked(half, half) if "chunked" in frame else half + half
        wire.send(body[: len(half)])
        eventually(lambda: front.taken and front.taken[0][1].count(b"~") > len(half) // 2)
        wire.send(body[len(half) :])
        assert wire.answer().status == 200
    [(_, got)] = front.taken
    assert got.count(b"~") == 2 * len(half)


def test_nginx_closes_idle_connections_before_the_replicas_do(front: Front) -> None:
    (limit,) = re.findall(r"^keepalive = (\d+)$", (ROOT / "gunicorn.conf.py").read_text(), re.M)
    assert ask(front, request("GET /healthz")).status == 200
    assert not front.given_up
    eventually(lambda: front.given_up, int(limit) - 10)
