"""Requests to the receiver: where they go, and what it may answer."""

import base64
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from fileservice.events import EventReceiver, ReceiverUnavailable
from fileservice.events.receiver import is_public
from tests.support.receiver import SECRET, Receiver, receiver

BODY = json.dumps({"id": "1", "type": "t", "subject": "a.txt", "data": {}}).encode()
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


@pytest.fixture
def running() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def answering(answer: Callable[[socket.socket], object]) -> tuple[int, list[bytes]]:
    """Return the port of a server that answers each connection so, and what it receives."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        with closing(listener):
            while True:
                connection, _ = listener.accept()
                with connection:
                    requests.append(connection.recv(65536))
                    with suppress(OSError):
                        answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], requests


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a01:203",
        "64:ff9b:1::a01:203",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1", "64:ff9b::5db8:d70e"])
def test_address_is_public(address: str) -> None:
    assert is_public(address)


def test_private_address_gets_no_connection_unless_it_is_allowed() -> None:
    port, requests = answering(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\n\r\n"))
    url = f"http://localhost:{port}/"
    with pytest.raises(ReceiverUnavailable, match="not a public one"):
        EventReceiver(url, KEY).post("1", BODY)
    assert EventReceiver(url, KEY, allow_private=True).post("1", BODY).status == 200
    assert len(requests) == 1


def test_address_that_was_checked_is_connected_to(
    running: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = []

    def look_up(host: str, *_arguments: Any, **_options: Any) -> list[Any]:
        """Resolve to the receiver at first, and then to where nothing listens."""
        lookups.append(host)
        address = "127.0.0.1" if len(lookups) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, running.port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    checked: list[object] = []
    monkeypatch.setattr(
        "fileservice.events.receiver.is_public", lambda found: not checked.append(found)
    )
    EventReceiver(f"http://receiver.test:{running.port}/", KEY).post("1", BODY)
    assert (lookups, checked) == (["receiver.test"], ["127.0.0.1"])
    assert running.requests[0].fields["Host"] == f"receiver.test:{running.port}"


def test_redirect_is_not_followed(running: Receiver) -> None:
    location = running.url.encode()
    answer = b"HTTP/1.1 307 Elsewhere\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    port, _ = answering(lambda connection: connection.sendall(answer))
    url = f"http://127.0.0.1:{port}/"
    assert EventReceiver(url, KEY, allow_private=True).post("1", BODY).status == 307
    assert running.requests == []


def test_endless_answer_is_not_read() -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent += connection.send(b"x" * 65536)

    port, _ = answering(flood)
    url = f"http://127.0.0.1:{port}/"
    assert EventReceiver(url, KEY, allow_private=True).post("1", BODY).status == 200
    assert sent < 64 << 20


def test_answer_that_trickles_in_ends_at_the_time_limit() -> None:
    is_over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not is_over.wait(0.05):
            connection.sendall(b"X: y\r\n")

    port, _ = answering(trickle)
    target = EventReceiver(f"http://127.0.0.1:{port}/", KEY, allow_private=True, seconds=0.3)
    began = time.monotonic()
    try:
        with pytest.raises(ReceiverUnavailable):
            target.post("1", BODY)
        assert time.monotonic() - began < 60
    finally:
        is_over.set()


def test_retry_after_is_read() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n"
    port, _ = answering(lambda connection: connection.sendall(answer))
    response = EventReceiver(f"http://127.0.0.1:{port}/", KEY, allow_private=True).post("1", BODY)
    assert (response.status, response.retry_after) == (503, 7.0)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
def test_what_is_no_answer_is_an_outage(answer: bytes) -> None:
    port, _ = answering(lambda connection: connection.sendall(answer))
    with pytest.raises(ReceiverUnavailable):
        EventReceiver(f"http://127.0.0.1:{port}/", KEY, allow_private=True).post("1", BODY)


def test_receiver_is_named_without_its_path_and_query(running: Receiver) -> None:
    assert EventReceiver(running.url, KEY).label == f"http://127.0.0.1:{running.port}"


def test_certificate_must_be_of_the_name_in_the_url(
    tool: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-subj", "/CN=receiver.test", "-keyout", str(key), "-out", str(certificate)]
        + ["-addext", "subjectAltName=DNS:receiver.test"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with receiver(tls=context) as running:
        found = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", running.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: [found])

        def post(name: str) -> int:
            url = f"https://{name}:{running.port}/"
            return EventReceiver(url, KEY, allow_private=True).post("1", BODY).status

        with pytest.raises(ReceiverUnavailable, match="certificate"):
            post("receiver.test")  # nobody vouches for it
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post("receiver.test") == 204
        with pytest.raises(ReceiverUnavailable, match="certificate"):
            post("other.test")
