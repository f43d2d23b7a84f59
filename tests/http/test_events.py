"""Events over HTTP: whatever happens to a file is reported to a receiver, however it happens."""

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.http import test_expiry as uploads
from tests.support.links import LinkMaker
from tests.support.ports import free_port
from tests.support.receiver import SECRET, Received, Receiver, receiver
from tests.support.servers import ROOT, LiveServer
from tests.support.wire import Wire, eventually, request

TEXT = uploads.TEXT
FAR = uploads.FAR
START = Callable[..., LiveServer]


@pytest.fixture(scope="module")
def running() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture(scope="module")
def service(start_module_server: START, running: Receiver, tmp_path_factory) -> LiveServer:
    """A server with two workers and a token; only one of the workers delivers."""
    rules = tmp_path_factory.mktemp("access") / "access.toml"
    digest = hashlib.sha256(b"fs_" + b"s" * 43).hexdigest()
    scopes = '["list", "read", "write", "delete", "share"]'
    rules.write_text(f'[tokens.ci]\nhash = "sha256:{digest}"\nscopes = {scopes}\n')
    return start_module_server(
        **running.settings,
        ACCESS_FILE=str(rules),
        TRUSTED_PROXIES="127.0.0.1",
        WORKERS="2",
    )


@pytest.fixture
def http(service: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"{secrets.token_hex(6)}.txt"


WAYS = [
    uploads.put,
    uploads.form_field,
    uploads.tus,
    uploads.draft,
    *(
        pytest.param(way, marks=pytest.mark.thorough)
        for way in (
            uploads.post,
            uploads.tus_query,
            uploads.tus_concatenation,
            uploads.draft_whole,
        )
    ),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: getattr(way, "__name__", None))
def test_file_is_reported_however_it_was_uploaded(
    http: httpx.Client, running: Receiver, name: str, way: uploads.Upload
) -> None:
    assert way(http, name, FAR).status_code in (200, 201, 204)
    (received,) = running.wait_for(name)
    event = received.event
    assert received.fields["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert event["specversion"] == "1.0"
    assert event["type"] == "fileservice.file.stored"
    assert event["source"] == "fileservice"
    assert event["data"] == {
        "size": len(TEXT),
        "type": "text/plain",
        "sha256": hashlib.sha256(TEXT).hexdigest(),
        "principal": "anonymous",
        "expires": "2100-01-31T18:00:00+00:00",
        "replaced": False,
    }


def test_all_that_happens_to_a_file_is_reported_in_order(
    http: httpx.Client, running: Receiver, name: str
) -> None:
    token = {"Authorization": "Bearer fs_" + "s" * 43}
    path = f"/upload/{name}"
    assert http.put(path, content=TEXT, headers=token).status_code == 201
    assert http.put(path, content=b"new\n", headers={"If-Match": "*"}).status_code == 200
    assert http.delete(f"/download/{name}").status_code == 204
    assert http.put(path, content=TEXT).status_code == 201
    received = running.wait_for(name, 4)
    assert [event.kind for event in received] == [
        "file.stored",
        "file.stored",
        "file.deleted",
        "file.stored",
    ]
    assert [event.data["principal"] for event in received] == ["token:ci", *["anonymous"] * 3]
    assert [event.data.get("replaced") for event in received] == [False, True, None, False]
    assert received[2].data["sha256"] == hashlib.sha256(b"new\n").hexdigest()


def test_events_have_the_ids_of_the_requests_that_have_caused_them(
    http: httpx.Client, service: LiveServer, running: Receiver, name: str
) -> None:
    def traced(number: int) -> dict[str, str]:
        return {"traceparent": f"00-{number:032x}-{number:016x}-01"}

    stored = uploads.tus(http, name, FAR)  # by several requests, of which the last one counts
    answers = [
        http.put(f"/upload/{name}", content=b"new\n", headers={"If-Match": "*", **traced(1)}),
        http.get(LinkMaker.of(service).download(name).file, headers=traced(2)),
        http.delete(f"/download/{name}", headers=traced(3)),
    ]
    first, *received = running.wait_for(name, 4)
    assert first.event["requestid"] == stored.headers["X-Request-Id"]
    assert "traceparent" not in first.event
    assert "traceparent" not in first.fields
    for number, (answer, event) in enumerate(zip(answers, received, strict=True), 1):
        assert answer.is_success
        assert event.event["requestid"] == answer.headers["X-Request-Id"]
        assert event.event["traceparent"] == traced(number)["traceparent"]
        assert event.fields["traceparent"] == event.event["traceparent"]


def test_file_that_expires_is_reported(
    running: Receiver, http: httpx.Client, name: str, over_a_directory: None
) -> None:
    # It is refused if its time is over before it is stored.
    path = f"/upload/{name}"
    eventually(lambda: http.put(path, params={"expires": "1s"}, content=TEXT).status_code == 201)
    assert [event.kind for event in running.wait_for(name, 2)] == ["file.stored", "file.expired"]


def test_use_of_a_link_is_reported_once(
    service: LiveServer, http: httpx.Client, running: Receiver, name: str
) -> None:
    http.put(f"/upload/{name}", content=TEXT)
    running.wait_for(name)
    made = LinkMaker.of(service).download(name, 2)
    assert http.head(made.file).status_code == 200
    assert http.get(made.file).content == TEXT
    assert http.get(made.file, headers={"Range": "bytes=3-"}).status_code == 206
    events = running.wait_for(name, 2)
    http.get(made.file, headers={"User-Agent": "another client"})
    events = running.wait_for(name, 3)
    assert [event.kind for event in events[1:]] == ["link.used", "link.used"]
    assert events[1].data["link"] == made.id
    assert made.secret not in json.dumps([event.event for event in events])


def test_upload_by_a_link_names_the_link_and_the_owner(
    http: httpx.Client, running: Receiver, name: str
) -> None:
    token = {"Authorization": "Bearer fs_" + "s" * 43}
    made = http.post("/links", json={"upload": {"prefix": name[:6]}}, headers=token).json()
    guest = {"Authorization": f"Bearer {made['url'].rpartition('/')[2]}"}
    assert http.put(f"/upload/{name}", content=TEXT, headers=guest).status_code == 201
    (event,) = running.wait_for(name)
    assert event.data["link"] == made["id"]
    assert event.data["principal"] == f"link:{made['id']}"
    assert event.data["owner"] == "token:ci"


def test_upload_that_is_refused_is_not_reported(
    service: LiveServer, http: httpx.Client, running: Receiver, name: str
) -> None:
    assert http.put(f"/upload/{name}", content=TEXT).status_code == 201
    assert http.put(f"/upload/{name}", content=b"other\n").status_code == 409
    wrong = {"Repr-Digest": f"sha-256=:{'A' * 43}=:"}
    assert http.put(f"/upload/no-{name}", content=TEXT, headers=wrong).status_code == 400
    assert http.put(f"/upload/{name[:-4]}.png", content=TEXT).status_code == 415
    with Wire(service) as wire:
        wire.send(request(f"PUT /upload/cut-{name}", "Content-Length: 99") + b"the beginning")
    assert http.delete(f"/download/{name}").status_code == 204
    assert running.wait_for(name, 2)[1].kind == "file.deleted"
    assert running.kinds(name) == ["file.stored", "file.deleted"]
    assert not [event for event in running.requests if event.name.startswith(("no-", "cut-"))]
    if isinstance(service.store, Path):
        queue = service.store / ".fileservice/events"
        eventually(lambda: not list(queue.iterdir()))  # nothing was left pending either


@pytest.mark.parametrize("forged", ["a%22,%22type%22:%22x.txt", "ünïcödé-\N{PILE OF POO}.txt"])
def test_forged_name_arrives_intact(http: httpx.Client, running: Receiver, forged: str) -> None:
    assert http.put(f"/upload/{forged}", content=TEXT).status_code == 201
    eventually(lambda: running.of(httpx.URL(f"http://x/{forged}").path[1:]))


def test_uploads_are_answered_while_the_receiver_is_silent(
    http: httpx.Client, running: Receiver, name: str
) -> None:
    is_released = threading.Event()
    happened: list[str] = []

    def wait(received: Received) -> int:
        if received.name.endswith(name):
            is_released.wait(120)
            happened.append("received")
        return 204

    running.answer = wait
    try:
        for number in range(20):
            assert http.put(f"/upload/{number}-{name}", content=TEXT).status_code == 201
            happened.append("answered")
        is_released.set()
        for number in range(20):
            running.wait_for(f"{number}-{name}")
    finally:
        is_released.set()
        running.answer = lambda _received: 204
    assert happened[:20] == ["answered"] * 20


def test_events_are_received_once_the_receiver_is_there(start_server: START, name: str) -> None:
    port = free_port()
    settings = {
        "ON_STORED": f"http://127.0.0.1:{port}/events",
        "ON_STORED_SECRET": SECRET,
        "ON_STORED_PRIVATE": "true",
    }
    server = start_server(**settings)
    with server.client() as client:
        for number in range(3):
            assert client.put(f"/upload/{number}-{name}", content=TEXT).status_code == 201
    eventually(lambda: "does not receive events" in server.log())
    with receiver(port) as late:
        for number in range(3):
            late.wait_for(f"{number}-{name}")
        server.kill()
        assert len(late.requests) == 3
    assert SECRET.removeprefix("whsec_") not in server.log()


@pytest.mark.thorough
def test_private_receiver_is_refused_unless_it_is_allowed(
    start_server: START, running: Receiver, name: str
) -> None:
    server = start_server(**running.settings | {"ON_STORED_PRIVATE": "false"})
    with server.client() as client:
        client.put(f"/upload/{name}", content=TEXT)
    eventually(lambda: "its address is not a public one" in server.log())
    assert not running.of(name)


def test_receiver_in_the_documentation_prints_what_happens(
    start_server: START, tmp_path: Path, name: str
) -> None:
    page = (ROOT / "docs" / "operating.md").read_text().partition("## Events")[2]
    (script,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    (tmp_path / "receiver.py").write_text(script)
    port = free_port()
    printed = tmp_path / "printed"
    with (
        printed.open("w") as output,
        subprocess.Popen(
            [sys.executable, tmp_path / "receiver.py"],
            env=os.environ | {"EVENTS_SECRET": SECRET, "PORT": str(port)},
            stdout=output,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            server = start_server(
                ON_STORED=f"http://127.0.0.1:{port}",
                ON_STORED_SECRET=SECRET,
                ON_STORED_PRIVATE="true",
                PUBLIC_URL="https://files.example.org",
            )
            with server.client() as client:
                client.put(f"/upload/{name}", content=TEXT)
                client.delete(f"/download/{name}")
            eventually(lambda: printed.read_text().count("\n") == 2)
            forged = httpx.post(f"http://127.0.0.1:{port}", content=b"{}", timeout=60)
        finally:
            process.terminate()
    assert printed.read_text() == (
        f"fileservice.file.stored {name}\nfileservice.file.deleted {name}\n"
    )
    assert forged.status_code == 401
