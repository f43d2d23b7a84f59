"""A file with a mark is not sent by any way, and can be deleted and replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from fileservice.integrity import DamageMarks
from fileservice.names import FileName
from fileservice.storage import open_store
from tests.support.links import LinkMaker
from tests.support.rows import every_row
from tests.web.application import TEXT, Client, application


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return application(tmp_path)


@pytest.fixture
def client(app: Flask, tmp_path: Path) -> Iterator[Client]:
    """A client of a service with the damaged file a.txt and the intact file b.txt."""
    client = app.test_client()
    assert isinstance(client, Client)
    for name in ("a.txt", "b.txt"):
        assert client.put(f"/upload/{name}", data=TEXT).status_code == 201
    store = open_store(str(tmp_path), fsync=False)
    DamageMarks(store.private_files).mark(store.stat(FileName.parse("a.txt")), "it has rotted")
    with client:
        yield client


@every_row(
    "path", ["/download/a.txt", "/archive.zip?name=a.txt&name=b.txt", "/archive.zip?prefix=a"]
)
def test_damaged_file_is_not_sent(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json["code"]) == (500, "file-damaged")
    assert answer.json["filename"] == "a.txt"
    assert client.head(path).status_code == 500
    assert "Retry-After" not in answer.headers


def test_intact_file_is_sent(client: Client) -> None:
    assert client.get("/download/b.txt").data == TEXT


def test_link_does_not_send_a_damaged_file_and_takes_no_use(client: Client, tmp_path: Path) -> None:
    links = LinkMaker(str(tmp_path))
    link = links.download("a.txt", 1)
    assert client.get(link.file).json["code"] == "file-damaged"
    assert links.uses(link) == 0


def test_client_that_has_the_right_bytes_gets_304(client: Client) -> None:
    [record, _] = client.get("/download").json
    assert record["filename"] == "a.txt"
    etag = client.get("/download/b.txt").headers["ETag"]  # the same bytes
    answer = client.get("/download/a.txt", headers={"If-None-Match": etag})
    assert answer.status_code == 304


def test_damaged_file_can_be_replaced_and_is_sent_again(client: Client) -> None:
    assert client.get("/download/a.txt").status_code == 500
    answer = client.put("/upload/a.txt", data=b"new text\n", headers={"If-Match": "*"})
    assert answer.status_code == 200
    assert client.get("/download/a.txt").data == b"new text\n"


def test_damaged_file_can_be_deleted(client: Client) -> None:
    assert client.delete("/download/a.txt").status_code == 204
    assert client.put("/upload/a.txt", data=TEXT).status_code == 201
    assert client.get("/download/a.txt").data == TEXT
