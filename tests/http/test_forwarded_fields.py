"""X-Forwarded fields as they arrive on a connection: in several lines, and by similar names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import LiveServer
from tests.support.wire import ask, request


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that trusts the peer of every connection of these tests, and 10.0.0.0/8."""
    store = tmp_path_factory.mktemp("forwarded") / "store"
    server = LiveServer(
        {"STORE_URL": str(store), "WORKERS": "1", "TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"}
        | {"MAX_UNFINISHED_UPLOADS_PER_CLIENT": "1"}
    )
    yield server
    server.stop()


def base_of(server: LiveServer, *fields: str) -> str:
    """What the page says is the address of the service, before /upload."""
    page = ask(server, request("GET /upload", *fields)).body.decode()
    return page.partition("curl -T sample.pdf ")[2].partition("/upload/")[0]


def begin_upload(server: LiveServer, *fields: str) -> int:
    """Begin an upload, of which every client may have one, and return the status."""
    fields = (
        "Tus-Resumable: 1.0.0",
        "Upload-Length: 9",
        "Upload-Metadata: filename YS50eHQ=",
        *fields,
    )
    return ask(server, request("POST /tus/", *fields, body=b"")).status


def test_several_lines_are_one_list(trusting: LiveServer) -> None:
    fields = (
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-For: 10.0.0.2",
        "X-Forwarded-Host: outer.example",
        "X-Forwarded-Host: inner.example",
    )
    assert base_of(trusting, *fields) == "http://outer.example"
    assert base_of(trusting, *reversed(fields)) == "http://outer.example"


def test_a_client_is_counted_by_the_address_that_the_last_proxy_saw(trusting: LiveServer) -> None:
    statuses = [
        begin_upload(trusting, *lines, "X-Forwarded-For: 192.0.2.7")
        for lines in (
            (),
            ("X-Forwarded-For: 192.0.2.8",),
            ("X-Forwarded-For: 192.0.2.9, 10.0.0.1",),
            ("X-Forwarded-For: unknown", "X-Forwarded-For: ,"),
            ("X_Forwarded_For: 192.0.2.10",),
        )
    ]
    assert statuses == [201, 429, 429, 429, 429]


def test_a_field_with_underscores_is_another_field(trusting: LiveServer) -> None:
    for name in ("X_Forwarded_Host", "X-Forwarded_Host", "X_FORWARDED_HOST"):
        assert base_of(trusting, f"{name}: evil.example") == "http://files.example"
        both = (f"{name}: evil.example", "X-Forwarded-Host: outer.example", f"{name}: evil.example")
        assert base_of(trusting, *both) == "http://outer.example"


def test_fields_of_a_peer_that_is_not_trusted_change_nothing(
    tmp_path: Path, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(
        TRUSTED_PROXIES="10.0.0.0/8,::1", MAX_UNFINISHED_UPLOADS_PER_CLIENT="1", WORKERS="1"
    )
    assert base_of(server, "X-Forwarded-Host: evil.example") == "http://files.example"
    forged = [f"X-Forwarded-For: 192.0.2.{number}" for number in range(3)]
    assert [begin_upload(server, field) for field in forged] == [201, 429, 429]
