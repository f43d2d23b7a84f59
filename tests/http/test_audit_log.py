"""The audit log: who has done what to which file, in lines that nobody can forge."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.access import EditedAccessFile
from tests.support.servers import LiveServer
from tests.support.tus import BYTES, VERSION, named

TEXT = b"some text\n"
NAME = 'a"},{"event"\u2028\u0085deleted\u202e.txt'
"""A name that would end a string or a line, if it could."""


class AuditedServer(LiveServer):
    """A server with an audit log in a file."""

    def __init__(self, directory: Path) -> None:
        self.audit_log = directory / "audit.log"
        self.request_log = directory / "requests.log"
        access = EditedAccessFile(directory / "access.toml")
        self.token = access.set("ci", "list,read,write,delete,share")
        settings = {
            "STORE_URL": str(directory / "store"),
            "ACCESS_FILE": str(access.path),
            "ANONYMOUS": "none",
            "AUDIT_LOG": str(self.audit_log),
            "REQUEST_LOG": str(self.request_log),
            "LOG_FORMAT": "json",
        }
        super().__init__(settings)

    def events(self, request_id: str) -> list[dict[str, Any]]:
        """The events of a request; each line must be an object of its own, in ASCII."""
        lines = self.audit_log.read_bytes().decode("ascii").splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if event["request-id"] == request_id]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditedServer]:
    server = AuditedServer(tmp_path_factory.mktemp("audited"))
    yield server
    server.kill()


@pytest.fixture
def client(server: AuditedServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.token) as client:
        yield client


def event_of(server: AuditedServer, answer: httpx.Response) -> dict[str, Any]:
    """The only event of the request with this answer; it is there when the client has that."""
    (event,) = server.events(answer.headers["X-Request-Id"])
    assert event.pop("time").endswith("Z")
    assert event.pop("request-id") == answer.headers["X-Request-Id"]
    assert event.pop("client") == "127.0.0.1"
    return event


def test_what_happens_to_a_file_is_logged_with_its_digest(
    server: AuditedServer, client: httpx.Client
) -> None:
    def expected(event: str, text: bytes = TEXT) -> dict[str, Any]:
        digest = hashlib.sha256(text).hexdigest()
        facts = {"file": "a.txt", "size": len(text), "sha256": digest}
        return {"event": event, "principal": "token:ci", **facts}

    requests = [
        ("stored", TEXT, client.put("/upload/a.txt", content=TEXT)),
        ("read", TEXT, client.get("/download/a.txt", headers={"Range": "bytes=1-2"})),
        ("read", TEXT, client.get("/archive.zip?name=a.txt")),
        ("replaced", b"b", client.put("/upload/a.txt", content=b"b", headers={"If-Match": "*"})),
        ("deleted", b"b", client.delete("/download/a.txt")),
    ]
    for event, text, answer in requests:
        assert answer.is_success
        found = event_of(server, answer)
        assert found.pop("version")
        assert found == expected(event, text)


def test_an_upload_in_several_requests_is_logged_once(
    server: AuditedServer, client: httpx.Client
) -> None:
    fields = VERSION | {"Upload-Length": str(len(TEXT))} | named("resumed.txt")
    created = client.post("/tus/", headers=fields)
    fields = VERSION | BYTES | {"Upload-Offset": "0"}
    ended = client.patch(created.headers["Location"], headers=fields, content=TEXT)
    assert (created.status_code, ended.status_code) == (201, 204)
    assert server.events(created.headers["X-Request-Id"]) == []
    assert event_of(server, ended)["event"] == "stored"


def test_a_name_cannot_look_like_another_event(server: AuditedServer, client: httpx.Client) -> None:
    answer = client.put(f"/upload/{NAME.replace(chr(0x85), '')}", content=TEXT)
    assert answer.status_code in (201, 400)
    name = NAME.replace("\u2028", "").replace("\u0085", "").replace("\u202e", "")
    answer = client.put(f"/upload/{name}", content=TEXT)
    assert answer.status_code == 201
    assert event_of(server, answer)["file"] == name


def test_what_is_done_by_a_link_has_the_id_of_the_link_and_not_its_secret(
    server: AuditedServer, client: httpx.Client
) -> None:
    client.put("/upload/shared.txt", content=TEXT)
    made = client.post("/links", json={"name": "shared.txt"})
    link = made.json()
    assert event_of(server, made) == {
        "event": "link-made",
        "principal": "token:ci",
        "link": link["id"],
        "file": "shared.txt",
    }
    answer = httpx.get(f"{link['url']}/shared.txt")
    assert answer.content == TEXT
    event = event_of(server, answer)
    assert (event["event"], event["principal"]) == ("read", f"link:{link['id']}")
    revoked = client.delete(f"/links/{link['id']}")
    assert event_of(server, revoked)["event"] == "link-revoked"
    secret = link["url"].rpartition("/")[2]
    assert secret not in server.audit_log.read_text()


def test_refusals_are_logged_and_no_secrets(server: AuditedServer) -> None:
    wrong = {"Authorization": "Bearer fs_" + "w" * 43}
    answer = httpx.get(f"{server.url}/download/a.txt", headers=wrong)
    assert event_of(server, answer) == {
        "event": "refused",
        "principal": "anonymous",
        "action": "read",
        "problem": "unauthenticated",
    }
    (_, shown) = server.token["Authorization"].split()
    logged = server.audit_log.read_text() + server.request_log.read_text() + server.log()
    assert "fs_w" not in logged
    assert shown not in logged
