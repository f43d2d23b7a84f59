"""What must be true of an upload whatever faults it has met."""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.clients.clients import PERSISTENT, Client
from tests.clients.fault_proxy import Fault, FaultProxy
from tests.clients.traffic import Traffic
from tests.support.servers import LiveServer

_SECONDS = 60


def assert_survives(
    client: Client, server: LiveServer, plan: Iterable[Fault], file: Path, *options: str
) -> Traffic:
    """Upload the file as a.txt through all faults of the plan; return what went over the wire."""
    with FaultProxy(server.port, plan) as proxy:
        outcome = client.upload(proxy.url, file, "a.txt", *PERSISTENT, *options)
        assert outcome.done, (outcome, str(proxy.traffic))
        assert_kept(proxy)
    assert_whole(server, "a.txt", file)
    return proxy.traffic


def assert_whole(server: LiveServer, name: str, file: Path) -> None:
    """The server has the file under this name, byte for byte, and says so."""
    path = f"/download/{quote(name)}"
    with server.client() as client, client.stream("GET", path) as answer:
        assert answer.status_code == 200, answer.read()
        digest = hashlib.sha256()
        for block in answer.iter_bytes():
            digest.update(block)
    with file.open("rb") as stream:
        assert digest.digest() == hashlib.file_digest(stream, "sha256").digest()
    encoded = base64.b64encode(digest.digest()).decode("ascii")
    assert answer.headers["Repr-Digest"] == f"sha-256=:{encoded}:"


def assert_absent(server: LiveServer, name: str) -> None:
    assert httpx.get(f"{server.url}/download/{name}").status_code == 404


def assert_gone(server: LiveServer, upload: str) -> None:
    """The upload at this path has been refused, and its bytes are no more."""
    answer = httpx.head(server.url + upload, headers={"Tus-Resumable": "1.0.0"})
    assert answer.status_code == 410
    identifier = upload.removeprefix("/tus/")
    assert not (server.store / ".fileservice" / "uploads" / identifier).exists()


def assert_kept(proxy: FaultProxy) -> None:
    """All faults of the plan have happened, and the server has lost no byte that it had."""
    assert proxy.fired == len(proxy.plan), proxy.traffic
    assert proxy.traffic.uploads(), "nothing went through the proxy"
    assert not proxy.traffic.decreased(), proxy.traffic
    assert not proxy.traffic.resent(), proxy.traffic


def assert_replaced(proxy: FaultProxy) -> None:
    """The server has ended the connections that fell silent in the middle of an upload."""
    for link in proxy.held:
        assert not link.interrupted or link.ended.wait(_SECONDS), f"{link.name} is still open"
