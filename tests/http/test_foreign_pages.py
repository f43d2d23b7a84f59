"""What pages of other sites, and names that others lead here, get from a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import LiveServer
from tests.support.tus import VERSION, named
from tests.support.wire import Wire, ask, assert_holds_only, form, form_request, part, request

TEXT = b"some text\n"
FOREIGN = [
    ("Sec-Fetch-Site: cross-site", "Origin: https://evil.example"),
    ("Sec-Fetch-Site: same-site",),
    ("Origin: https://evil.example",),
    ("Origin: null",),
]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with the default settings, and one origin whose pages may use it."""
    store = tmp_path_factory.mktemp("foreign") / "store"
    server = LiveServer(
        {
            "STORE_URL": str(store),
            "WORKERS": "1",
            "ALLOWED_HOSTS": "",
            "PUBLIC_URL": "https://files.example.org/base",
            "CORS_ORIGINS": "https://app.example.org",
        }
    )
    yield server
    server.stop()


def sent(server: LiveServer, head: str, *fields: str, body: bytes | None = None) -> bytes:
    """A request for the server's own host."""
    asked = request(head, *fields, body=body)
    return asked.replace(b"files.example", b"127.0.0.1:%d" % server.port, 1)


CHANGES = {
    "raw": request("PUT /upload/a.txt", body=TEXT),
    "raw by POST": request("POST /upload/a.txt", "Content-Type: text/plain", body=TEXT),
    "form": form_request(form(part("file", TEXT, "a.txt"))),
    "tus": request(
        "POST /tus/",
        "Upload-Length: 9",
        *(f"{name}: {value}" for name, value in (VERSION | named("a.txt")).items()),
        body=b"",
    ),
    "overridden": request("POST /tus/x", "X-HTTP-Method-Override: DELETE", body=b""),
    "a method overridden by GET": request("GET /tus/x", "X-HTTP-Method-Override: DELETE"),
    "delete": request("DELETE /download/kept.txt"),
    "a path that is not there": request("POST /nowhere", body=TEXT),
}


@pytest.mark.parametrize("fields", FOREIGN, ids=str)
@pytest.mark.parametrize("asked", CHANGES.values(), ids=CHANGES.keys())
def test_a_page_of_another_site_changes_nothing(
    own_server: LiveServer, asked: bytes, fields: tuple[str, ...]
) -> None:
    (own_server.store / "kept.txt").write_bytes(TEXT)
    head, _, rest = asked.partition(b"\r\nHost: files.example\r\n")
    host = f"Host: 127.0.0.1:{own_server.port}"
    answer = ask(own_server, "\r\n".join([head.decode(), host, *fields, ""]).encode() + rest)
    assert (answer.status, answer.code()) == (403, "cross-site")
    assert "CORS_ORIGINS" in answer.json()["detail"]
    assert_holds_only(own_server, ["kept.txt"])


def test_a_request_of_another_site_is_refused_before_its_body(own_server: LiveServer) -> None:
    fields = ("Expect: 100-continue", "Content-Length: 1000", "Sec-Fetch-Site: cross-site")
    assert ask(own_server, sent(own_server, "PUT /upload/a.txt", *fields)).code() == "cross-site"


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Sec-Fetch-Site: same-origin", "Origin: https://files.example.org"),
        ("Sec-Fetch-Site: none",),
        ("Origin: https://files.example.org",),
        ("Sec-Fetch-Site: cross-site", "Origin: https://app.example.org"),
        ("Origin: https://app.example.org",),
    ],
    ids=str,
)
def test_own_pages_programs_and_allowed_origins_may_change_files(
    own_server: LiveServer, fields: tuple[str, ...]
) -> None:
    own_server.clear()
    answer = ask(own_server, sent(own_server, "PUT /upload/a.txt", *fields, body=TEXT))
    assert answer.status == 201
    assert ask(own_server, sent(own_server, "DELETE /download/a.txt", *fields)).status == 204


@pytest.mark.parametrize(
    "asked",
    [
        request("GET /upload"),
        request("GET /healthz"),
        request("GET /nowhere"),
        request("OPTIONS /tus/"),
        request("PUT /upload/a.txt", "Content-Length: 1000", "Expect: 100-continue"),
    ],
)
def test_a_request_for_a_foreign_host_is_refused(own_server: LiveServer, asked: bytes) -> None:
    answer = ask(own_server, asked)
    assert (answer.status, answer.code()) == (421, "wrong-host")
    assert "FILESERVICE_ALLOWED_HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]", "files.example.org"])
def test_requests_for_own_hosts_are_answered(own_server: LiveServer, host: str) -> None:
    asked = request("GET /healthz").replace(b"files.example", host.encode())
    assert ask(own_server, asked).status == 200


def test_behind_a_proxy_the_forwarded_host_is_checked(start_server, tmp_path: Path) -> None:
    server = start_server(
        ALLOWED_HOSTS="files.example.org", TRUSTED_PROXIES="127.0.0.1", WORKERS="1"
    )
    with Wire(server) as wire:
        for host, status in (("files.example.org", 201), ("evil.example", 421)):
            fields = (f"X-Forwarded-Host: {host}", f"Origin: https://{host}")
            asked = request(f"PUT /upload/{status}.txt", *fields, body=TEXT)
            assert wire.ask(asked).status == status
    assert_holds_only(server, ["201.txt"])
