"""Addresses: the slash at their end, and what the answers of all of them have in common."""

import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.rows import every_row
from tests.support.tus import VERSION, named
from tests.web.application import TEXT, UnreadableBody, application, published

MEMBERS = ["filename", "url", "size", "type", "modified", "expires", "digest"]
"""Those of the record of a file, in their order."""


def form(name: str) -> dict[str, Any]:
    return {"data": {"file": (io.BytesIO(TEXT), name)}}


@pytest.mark.parametrize("path", ["/upload", "/upload/"])
def test_a_form_is_accepted_with_and_without_a_slash(client: FlaskClient, path: str) -> None:
    assert client.post(path, **form("a.txt")).status_code == 201
    assert "a.txt" in client.get(path).text


@every_row("path", ["/download", "/download/"])
def test_the_list_has_two_addresses(client: FlaskClient, path: str) -> None:
    client.put("/upload/a.txt", data=TEXT)
    assert [record["filename"] for record in client.get(path).json] == ["a.txt"]


@every_row("path", ["/tus", "/tus/"])
def test_tus_is_spoken_with_and_without_a_slash(client: FlaskClient, path: str) -> None:
    options = client.options(path)
    assert (options.status_code, options.headers["Tus-Version"]) == (204, "1.0.0")
    fields = VERSION | {"Upload-Length": "10"} | named("a.txt")
    created = client.post(path, headers=fields | {"X-HTTP-Method-Override": "POST"})
    assert (created.status_code, created.headers["Tus-Resumable"]) == (201, "1.0.0")
    assert created.headers["Location"].startswith("http://localhost/tus/")
    overridden = client.post(path, headers=fields | {"X-HTTP-Method-Override": "OPTIONS"})
    assert overridden.status_code == 204


def test_a_record_is_the_same_in_every_answer(client: FlaskClient) -> None:
    by_put = client.put("/upload/a.txt", data=TEXT).json
    by_form = client.post("/upload", **form("b.txt")).json
    listed = client.get("/download").json
    assert [by_put, by_form] == listed
    assert [list(record) for record in (by_put, by_form, *listed)] == [MEMBERS] * 4


def test_problems_name_a_file_as_its_record_does(client: FlaskClient) -> None:
    client.put("/upload/a.txt", data=TEXT)
    for answer in (client.put("/upload/a.txt", data=TEXT), client.get("/download/b.txt")):
        assert answer.json["filename"] in ("a.txt", "b.txt")
        assert list(answer.json)[:5] == ["type", "title", "status", "code", "detail"]


@every_row(
    ("call", "address"),
    [
        ("PUT /upload", "/upload/<name>"),
        ("DELETE /upload/a%20b.txt", "/download/a%20b.txt"),
        ("GET /upload/a.txt", "/download/a.txt"),
        ("PATCH /upload/a.txt", "/resume/<upload>"),
        ("PUT /download/a.txt", "/upload/a.txt"),
        ("POST /download", "/upload"),
        ("DELETE /download", "/download/<name>"),
        ("PATCH /tus/", "/tus/<upload>"),
        ("POST /tus/0", "/tus/"),
        ("PUT /resume/0", "/upload/<name>"),
        ("DELETE /links", "/links/<link_id>"),
        ("POST /links/0", "/links"),
    ],
)
def test_405_names_the_address_that_takes_the_method(
    client: FlaskClient, call: str, address: str
) -> None:
    method, path = call.split()
    answer = client.open(path, method=method, headers=VERSION)
    assert (answer.status_code, answer.json["address"]) == (405, address)
    assert f"send {method} to {address}" in answer.json["detail"]
    if "<" not in address:
        assert client.open(address, method=method, headers=VERSION).status_code != 405


@every_row("call", ["PUT /", "POST /healthz", "TRACE /download", "PUT /s/0/a.txt"])
def test_405_names_no_address_where_there_is_none(client: FlaskClient, call: str) -> None:
    method, path = call.split()
    answer = client.open(path, method=method)
    assert (answer.status_code, "address" in answer.json) == (405, False)
    assert "GET" in answer.json["detail"]


def test_the_address_for_a_method_has_the_prefix_of_the_service(tmp_path: Path) -> None:
    client = application(tmp_path, PUBLIC_URL="https://example.org/files").test_client()
    answer = client.put("/download/a.txt")
    assert answer.json["address"] == "/files/upload/a.txt"


@every_row(
    ("call", "known"),
    [
        ("GET /download?limt=5", ["limit", "after", "before", "prefix", "q", "sort"]),
        ("GET /download/a.txt?download=1", ["inline"]),
        ("HEAD /download/a.txt?inlin", ["inline"]),
        ("DELETE /download/a.txt?force=1", []),
        ("GET /archive.zip?name=a.txt&names=b.txt", ["name", "prefix", "q"]),
        ("PUT /upload/b.txt?expire=1d", ["expires"]),
        ("POST /upload?overwrite=1", ["expires"]),
        ("GET /readyz?state=valid", []),
        ("GET /healthz?verbose", []),
    ],
)
def test_an_argument_that_is_not_known_is_refused(
    client: FlaskClient, root: Path, call: str, known: list[str]
) -> None:
    client.put("/upload/a.txt", data=TEXT)
    method, path = call.split()
    answer = client.open(path, method=method, **(form("b.txt") if method == "POST" else {}))
    assert answer.status_code == 400
    if method != "HEAD":
        assert (answer.json["code"], answer.json["known"]) == ("bad-request", known)
        assert all(name in answer.json["detail"] for name in (answer.json["argument"], *known))
    assert published(root) == ["a.txt"]


def test_an_argument_is_refused_before_the_body_is_read(client: FlaskClient) -> None:
    unread = {"wsgi.input": UnreadableBody(), "CONTENT_LENGTH": "5"}
    for method, path in (("PUT", "/upload/a.txt?x=1"), ("POST", "/upload?x=1")):
        answer = client.open(path, method=method, environ_overrides=unread)
        assert answer.status_code == 400


@every_row("path", ["/upload?utm_source=mail", "/?fbclid=x", "/sign-in?x=1"])
def test_pages_ignore_what_others_add_to_their_addresses(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code in (200, 302)


@pytest.mark.parametrize(
    "query",
    [
        "resumableChunkNumber=1&resumableTotalChunks=1&resumableIdentifier=a",
        "flowChunkNumber=1&flowTotalChunks=1",
        "name=a.txt&chunk=0&chunks=1",
        "qqtotalparts=1",
    ],
)
def test_uploads_may_have_the_arguments_of_uploaders(client: FlaskClient, query: str) -> None:
    assert client.post(f"/upload?{query}", **form("a.txt")).status_code == 201


@pytest.mark.parametrize("protocol", ["tus", "resume"])
def test_get_of_a_complete_upload_leads_to_its_file(client: FlaskClient, protocol: str) -> None:
    if protocol == "tus":
        fields = VERSION | {"Upload-Length": str(len(TEXT))} | named("a b.txt")
        created = client.post("/tus/", headers=fields)
    else:
        created = client.post(
            "/upload/a%20b.txt",
            headers={"Upload-Complete": "?0"},
            environ_overrides={"CONTENT_LENGTH": "0"},
        )
    location = created.headers["Location"]
    unfinished = client.get(location)
    assert unfinished.status_code in (200, 204)
    assert (unfinished.headers["Upload-Offset"], unfinished.data) == ("0", b"")
    assert unfinished.headers["Cache-Control"] == "no-store"
    offset = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    if protocol == "resume":
        offset |= {"Content-Type": "application/partial-upload", "Upload-Complete": "?1"}
    assert client.patch(location, data=TEXT, headers=VERSION | offset).status_code in (201, 204)
    finished = client.get(location)
    assert finished.status_code == 303
    assert finished.headers["Location"] == "http://localhost/download/a%20b.txt"
    assert client.get(finished.headers["Location"]).data == TEXT


def test_inline_is_a_number_and_nothing_else(client: FlaskClient) -> None:
    client.put("/upload/a.txt", data=TEXT)
    for value, status in (("1", 200), ("0", 200), ("", 200), ("true", 400), ("2", 400)):
        answer = client.get(f"/download/a.txt?inline={value}")
        assert answer.status_code == status
        shown = answer.headers.get("Content-Disposition", "").startswith("inline")
        assert shown == (value == "1")
