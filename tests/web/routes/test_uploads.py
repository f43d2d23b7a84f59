"""POST /upload, and POST or PUT /upload/<name>."""

import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.rows import every_row
from tests.web.application import TEXT, published

BROWSER = {"Accept": "text/html,*/*;q=0.8"}
SHA256 = "sha-256=:q9Dxa2XxRZ2lIRjVc0MRhDZOXbTWv2ODTJfXNa+lXYM=:"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"MAX_FILE_SIZE": "1KiB"}


def form(name: str, data: bytes = TEXT) -> dict[str, Any]:
    return {"data": {"file": (io.BytesIO(data), name)}}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_raw_body_is_stored_under_the_name_in_the_path(
    client: FlaskClient, root: Path, method: str
) -> None:
    response = client.open(
        "/upload/a%20b.txt", method=method, data=TEXT, content_type="application/json"
    )
    assert response.status_code == 201
    assert response.json["filename"] == "a b.txt"
    assert response.headers["Location"] == "http://localhost/download/a%20b.txt"
    assert (root / "a b.txt").read_bytes() == TEXT


def test_a_form_is_stored_under_the_name_of_its_part(client: FlaskClient, root: Path) -> None:
    response = client.post("/upload", **form("a.txt"))
    assert (response.status_code, response.json["size"]) == (201, len(TEXT))
    assert (root / "a.txt").read_bytes() == TEXT


def test_a_form_from_a_browser_is_redirected_to_the_page(client: FlaskClient) -> None:
    response = client.post("/upload", headers=BROWSER, **form("a b.txt"))
    assert (response.status_code, response.headers["Location"]) == (303, "/upload")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("stored=a%20b.txt;")
    assert {"HttpOnly", "SameSite=Lax", "Path=/upload", "Max-Age=60"} <= set(cookie.split("; "))


def test_a_raw_upload_from_a_browser_gets_json(client: FlaskClient) -> None:
    response = client.put("/upload/a.txt", data=TEXT, headers=BROWSER)
    assert (response.status_code, response.mimetype) == (201, "application/json")


ERRORS = {
    "a bad name": ("/upload/.a", {}, 400, "bad-name"),
    "a slash in the name": ("/upload/a%2Fb.txt", {}, 400, "bad-name"),
    "no extension": ("/upload/README", {}, 400, "no-extension"),
    "another extension": ("/upload/a.exe", {}, 415, "extension-not-allowed"),
    "other content": ("/upload/a.pdf", {}, 415, "content-mismatch"),
    "too large": ("/upload/a.txt", {"data": b"x" * 1025}, 413, "too-large"),
    "a part": ("/upload/a.txt", {"headers": {"Content-Range": "bytes 0-9/99"}}, 400,
               "incomplete-body"),
    "a chunk": ("/upload/a.txt?flowTotalChunks=2", {}, 400, "incomplete-body"),
    "a bad digest": ("/upload/a.txt", {"headers": {"Repr-Digest": "x"}}, 400,
                     "bad-digest-header"),
    "another digest": ("/upload/a.txt",
                       {"headers": {"Repr-Digest": SHA256.replace("q9", "A9")}}, 400,
                       "digest-mismatch"),
    "another version": ("/upload/a.txt", {"headers": {"If-Match": '"x"'}}, 412,
                        "precondition-failed"),
    "a taken name": ("/upload/taken.txt", {}, 409, "name-taken"),
    "a name that must be free": ("/upload/taken.txt", {"headers": {"If-None-Match": "*"}}, 412,
                                 "precondition-failed"),
}  # fmt: skip


@every_row(("path", "options", "status", "code"), ERRORS.values())
def test_an_upload_that_is_refused_stores_nothing(
    client: FlaskClient, root: Path, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    (root / "taken.txt").write_bytes(b"other\n")
    response = client.put(path, **({"data": TEXT} | options))
    assert (response.status_code, response.json["code"]) == (status, code)
    assert published(root) == ["taken.txt"]
    assert (root / "taken.txt").read_bytes() == b"other\n"


class UnreadableBody:
    """A body that fails the test if it is read."""

    def read(self, *_size: int) -> bytes:
        raise AssertionError("the body was read")

    readinto = readinto1 = readline = __iter__ = read


@every_row("path", ["/upload/.a", "/upload/a.exe", "/upload/taken.txt"])
def test_what_the_path_rules_out_is_refused_before_the_body_is_read(
    client: FlaskClient, root: Path, path: str
) -> None:
    (root / "taken.txt").write_bytes(TEXT)
    environ = {"wsgi.input": UnreadableBody(), "CONTENT_LENGTH": "5"}
    assert client.put(path, environ_overrides=environ).status_code in (400, 409, 415)


def test_a_declared_digest_makes_a_repeated_upload_succeed(client: FlaskClient) -> None:
    first = client.put("/upload/a.txt", data=TEXT)
    headers = {"Repr-Digest": first.headers["Repr-Digest"]}
    again = client.put("/upload/a.txt", data=TEXT, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json


def test_a_repeated_upload_that_must_be_new_succeeds_only_with_its_digest(
    client: FlaskClient,
) -> None:
    """Its answer may have been lost, so the file may be the one that this client stored."""
    only_new = {"If-None-Match": "*"}
    first = client.put("/upload/a.txt", data=TEXT, headers=only_new)
    assert first.status_code == 201
    assert client.put("/upload/a.txt", data=TEXT, headers=only_new).status_code == 412
    headers = only_new | {"Repr-Digest": first.headers["Repr-Digest"]}
    assert client.put("/upload/a.txt", data=TEXT, headers=headers).status_code == 200


def test_a_digest_of_the_whole_form_is_verified(client: FlaskClient, root: Path) -> None:
    response = client.post("/upload", headers={"Content-Digest": SHA256}, **form("a.txt"))
    assert (response.status_code, response.json["code"]) == (400, "digest-mismatch")
    assert published(root) == []


def test_a_body_without_a_length_raises_length_required(client: FlaskClient) -> None:
    response = client.put("/upload/a.txt")
    assert (response.status_code, response.json["code"]) == (411, "length-required")


def test_options_describe_uploads_for_any_name(client: FlaskClient) -> None:
    response = client.options("/upload/.a")
    assert response.status_code == 204
    assert response.headers["Allow"] == "OPTIONS, POST, PUT"
    assert response.headers["Accept-Patch"] == "application/partial-upload"
    assert response.headers["Upload-Limit"] == "max-size=1024"
