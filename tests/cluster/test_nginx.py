"""Which requests nginx sends to which of two servers, which record what they receive."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from cluster.run import proxy
from tests.support.ports import free_port
from tests.support.servers import ROOT
from tests.support.wire import Wire, ask, chunked, eventually, request

BODY = b"a small body"


class Replica(ThreadingTCPServer):
    """Records requests, and answers them unless it has to fail."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        super().__init__(("127.0.0.1", 0), RequestHandler)
        threading.Thread(target=self.serve_forever, args=(0.02,)).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class RequestHandler(BaseRequestHandler):
    """One connection from nginx."""

    server: Replica

    def handle(self) -> None:
        cluster = self.server.cluster
        while block := self.request.recv(1 << 16):
            got = bytearray(block)
            cluster.received.append((self.server, got))
            while not is_complete(got):
                block = self.request.recv(1 << 16)
                assert block
                got += block
            if cluster.failures_left:
                cluster.failures_left -= 1
                return
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        cluster.closed_connections += 1


def is_complete(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end) and len(body) == (int(length[1]) if length else 0)


class Cluster:
    """nginx in front of two replicas."""

    def __init__(self) -> None:
        self.port = free_port()
        self.replicas: list[Replica] = []
        self.received: list[tuple[Replica, bytearray]] = []
        """The replica that received each request, and the bytes received so far."""
        self.failures_left = 0
        """How many requests will be read and not answered."""
        self.closed_connections = 0
        """How many connections nginx has ended."""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@pytest.fixture
def cluster(nginx: None, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            replica = Replica(cluster)
            stack.callback(replica.stop)
            cluster.replicas.append(replica)
        ports = [replica.server_address[1] for replica in cluster.replicas]
        stack.enter_context(proxy(tmp_path, cluster.port, ports))
        yield cluster


class TestReplicaThatFails:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
    def test_a_change_is_not_repeated_at_another_replica(
        self, cluster: Cluster, method: str
    ) -> None:
        cluster.failures_left = 1
        body = None if method == "DELETE" else BODY
        assert ask(cluster, request(f"{method} /upload/a.txt", body=body)).status == 502
        assert len(cluster.received) == 1

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_safe_request_is_repeated_at_another_replica(
        self, cluster: Cluster, method: str
    ) -> None:
        cluster.failures_left = 1
        assert ask(cluster, request(f"{method} /download/a.txt")).status == 200
        (first, _), (second, _) = cluster.received
        assert first is not second

    def test_it_gets_no_more_requests_after_two_failures(self, cluster: Cluster) -> None:
        cluster.replicas[0].stop()
        put = request("PUT /upload/a.txt", body=BODY)
        begun = time.monotonic()
        failures = [ask(cluster, put).status for _ in range(40)].count(502)
        # After fail_timeout, five seconds, it is tried again.
        assert failures <= 2 * (1 + (time.monotonic() - begun) // 5)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "GET"])
def test_requests_are_forwarded_unchanged_with_forwarded_fields(
    cluster: Cluster, method: str
) -> None:
    line = f"{method} //upload/a%2Fb%c3?q=%20"
    forged = [f"X-Forwarded-{name}: forged" for name in ("For", "Proto", "Host", "Prefix")]
    assert ask(cluster, request(line, *forged, body=BODY)).status == 200
    [(_, got)] = cluster.received
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
    cluster: Cluster, method: str, awaits: tuple[str, ...], frame: str
) -> None:
    half = b"~" * 1_000_000
    with Wire(cluster) as wire:
        wire.send(request(f"{method} /upload/a.txt", frame, *awaits))
        if awaits:
            assert wire.answer().status == 100
        body = chunked(half, half) if "chunked" in frame else half + half
        wire.send(body[: len(half)])
        eventually(lambda: cluster.received and cluster.received[0][1].count(b"~") > len(half) // 2)
        wire.send(body[len(half) :])
        assert wire.answer().status == 200
    [(_, got)] = cluster.received
    assert got.count(b"~") == 2 * len(half)


@pytest.mark.thorough
def test_nginx_closes_idle_connections_before_the_replicas_do(cluster: Cluster) -> None:
    (limit,) = re.findall(r"^keepalive = (\d+)$", (ROOT / "gunicorn.conf.py").read_text(), re.M)
    assert ask(cluster, request("GET /healthz")).status == 200
    assert not cluster.closed_connections
    eventually(lambda: cluster.closed_connections, int(limit) - 10)
