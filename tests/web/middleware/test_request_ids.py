"""Every answer has the id of its request, which only a trusted proxy may choose."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.request_record import REQUEST_RECORD, RequestRecord, trace_parent
from tests.support.rows import every_row
from tests.web.application import application

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    root = tmp_path_factory.mktemp("store")
    (root / "a.txt").write_text("text\n")
    return application(root, TRUSTED_PROXIES="10.0.0.1").test_client()


PATHS = {
    "/upload": 200,
    "/download/a.txt": 200,
    "/download/missing.txt": 404,
    "/assets/0/page.css": 404,
    "/no/such/path": 404,
}


@every_row("path", PATHS)
def test_every_answer_has_an_id_of_its_own_and_problems_repeat_it(
    client: FlaskClient, path: str
) -> None:
    answers = [client.get(path) for _ in range(2)]
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in ids)
    assert {answer.status_code for answer in answers} == {PATHS[path]}
    if PATHS[path] == 404:
        assert {answer.get_json(force=True)["request-id"] for answer in answers} == ids


def answered_id(client: FlaskClient, peer: str, request_id: str) -> str:
    environ = {"REMOTE_ADDR": peer}
    headers = {"X-Request-Id": request_id}
    return client.get("/download", headers=headers, environ_overrides=environ).headers[
        "X-Request-Id"
    ]


@every_row("request_id", ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "01J8ZQ4P"])
def test_the_id_of_a_trusted_proxy_is_kept(client: FlaskClient, request_id: str) -> None:
    assert answered_id(client, "10.0.0.1", request_id) == request_id


def test_the_id_of_anybody_else_is_ignored(client: FlaskClient) -> None:
    assert answered_id(client, "10.0.0.2", "f81d4fae7dec11d0") != "f81d4fae7dec11d0"


@every_row(
    "request_id",
    ["", "short", "x" * 43, "fs_aaaaaaaa", "a b c d e f", "abcdefgh,ijkl", "ä" * 9],
)
def test_an_id_that_could_be_something_else_is_replaced(
    client: FlaskClient, request_id: str
) -> None:
    assert re.fullmatch("[0-9a-f]{32}", answered_id(client, "10.0.0.1", request_id))


@every_row(
    ("peer", "parent", "kept"),
    [
        ("10.0.0.1", PARENT, PARENT),
        ("10.0.0.2", PARENT, ""),
        ("10.0.0.1", PARENT.upper(), ""),
        ("10.0.0.1", "00-" + "0" * 32 + PARENT[35:], ""),
        ("10.0.0.1", "ff" + PARENT[2:], ""),
        ("10.0.0.1", PARENT + "\nforged", ""),
    ],
)
def test_a_trace_context_is_taken_from_a_trusted_proxy_if_it_is_valid(
    client: FlaskClient, peer: str, parent: str, kept: str
) -> None:
    record = RequestRecord()
    environ = {"REMOTE_ADDR": peer, "HTTP_TRACEPARENT": parent, REQUEST_RECORD: record}
    client.get("/download", environ_overrides=environ)
    assert record.parent == kept


def test_the_record_says_what_the_application_has_done(client: FlaskClient) -> None:
    records = {}
    for path in PATHS:
        records[path] = RequestRecord()
        client.get(path, environ_overrides={REQUEST_RECORD: records[path]})
    facts = {path: (r.route, r.action, r.problem) for path, r in records.items()}
    assert facts == {
        "/upload": ("/upload", "view page", ""),
        "/download/a.txt": ("/download/<name>", "read", ""),
        "/download/missing.txt": ("/download/<name>", "read", "not-found"),
        "/assets/0/page.css": ("/assets/<version>/<filename>", "public", "not-found"),
        "/no/such/path": ("", "", "not-found"),
    }


def test_the_trace_context_of_one_request_is_not_that_of_the_next(client: FlaskClient) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_TRACEPARENT": PARENT}
    client.get("/download", environ_overrides=environ)
    assert trace_parent.get() == PARENT
    client.get("/download")
    assert trace_parent.get() == ""


def test_the_trace_context_of_the_own_span_is_passed_on_where_spans_are_made(
    tmp_path: Path,
) -> None:
    client = application(tmp_path, TRUSTED_PROXIES="10.0.0.1", TRACES="otlp").test_client()
    record = RequestRecord()
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_TRACEPARENT": PARENT, REQUEST_RECORD: record}
    client.get("/download", environ_overrides=environ)
    assert record.parent == PARENT
    assert record.span[:36] == PARENT[:36]
    assert record.span[36:52] != PARENT[36:52]
    assert trace_parent.get() == record.span
    del environ[REQUEST_RECORD]  # as under a server that observes nothing, and sends no span
    client.get("/download", environ_overrides=environ)
    assert trace_parent.get() == PARENT
