"""GET, HEAD and DELETE /download/<name>."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import create_environ, run_wsgi_app

from fileservice.request_record import REQUEST_RECORD, RequestRecord
from fileservice.storage import NotFound
from fileservice.storage.local import LocalStore
from fileservice.web.routes import downloads
from tests.support.rows import every_row
from tests.web.application import TEXT, application, published


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    assert client.put("/upload/a.txt", data=TEXT).status_code == 201
    return client


def test_a_file_is_sent_whole_with_its_headers(client: FlaskClient) -> None:
    response = client.get("/download/a.txt")
    assert (response.status_code, response.data) == (200, TEXT)
    headers = response.headers
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Length"] == str(len(TEXT))
    assert headers["Content-Disposition"].startswith("attachment; ")
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    assert {"ETag", "Last-Modified", "Repr-Digest"} <= set(headers.keys())


def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient) -> None:
    got, response = client.get("/download/a.txt"), client.head("/download/a.txt")
    assert response.data == b""
    del got.headers["X-Request-Id"], response.headers["X-Request-Id"]
    assert dict(response.headers) == dict(got.headers)


def test_inline_shows_types_that_are_safe_to_show(client: FlaskClient) -> None:
    response = client.get("/download/a.txt?inline=1")
    assert response.headers["Content-Disposition"].startswith("inline; ")


def test_one_range_is_sent_as_it_is(client: FlaskClient) -> None:
    response = client.get("/download/a.txt", headers={"Range": "bytes=5-"})
    assert (response.status_code, response.data) == (206, TEXT[5:])
    assert response.headers["Content-Range"] == "bytes 5-9/10"


def test_several_ranges_are_sent_as_multipart(client: FlaskClient) -> None:
    response = client.get("/download/a.txt", headers={"Range": "bytes=0-0,9-9"})
    assert response.status_code == 206
    assert response.mimetype == "multipart/byteranges"
    boundary = response.mimetype_params["boundary"].encode()
    parts = response.data.split(b"--" + boundary)
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:3]] == [b"s\r\n", b"\n\r\n"]
    assert response.headers["Content-Length"] == str(len(response.data))


@every_row("headers", [{"If-Range": '"other"'}, {"If-Range": "yesterday"}])
def test_a_range_of_another_version_is_ignored(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    response = client.get("/download/a.txt", headers={"Range": "bytes=0-0"} | headers)
    assert (response.status_code, response.data) == (200, TEXT)


def test_a_range_past_the_end_is_not_satisfiable(client: FlaskClient) -> None:
    response = client.get("/download/a.txt", headers={"Range": "bytes=10-"})
    assert (response.status_code, response.json["code"]) == (416, "range-not-satisfiable")
    assert response.headers["Content-Range"] == "bytes */10"


def test_a_version_that_the_client_has_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get("/download/a.txt").headers["ETag"]
    response = client.get("/download/a.txt", headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag


@every_row("method", ["GET", "HEAD", "DELETE"])
def test_a_condition_that_is_false_is_answered_412(
    client: FlaskClient, root: Path, method: str
) -> None:
    response = client.open("/download/a.txt", method=method, headers={"If-Match": '"other"'})
    assert response.status_code == 412
    assert published(root) == ["a.txt"]


def test_delete_removes_the_file(client: FlaskClient, root: Path) -> None:
    assert client.delete("/download/a.txt").status_code == 204
    assert published(root) == []
    assert client.delete("/download/a.txt").status_code == 404


def test_a_file_that_is_replaced_while_it_is_deleted_is_evaluated_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = client.get("/download/a.txt").headers["ETag"]
    delete = LocalStore.delete

    def replaced_first(store: LocalStore, name: str, version: str) -> None:
        monkeypatch.setattr(LocalStore, "delete", delete)
        client.application.test_client().delete(f"/download/{name}")
        client.application.test_client().put(f"/upload/{name}", data=b"other text\n")
        raise NotFound(name)

    monkeypatch.setattr(LocalStore, "delete", replaced_first)
    response = client.delete("/download/a.txt", headers={"If-Match": etag})
    assert response.status_code == 412
    assert client.get("/download/a.txt").data == b"other text\n"


@every_row("path", ["b.txt", ".a", "a%2Fb", "%FF.txt", ".fileservice"])
@every_row("method", ["GET", "HEAD", "DELETE"])
def test_a_name_of_no_file_is_not_found(client: FlaskClient, method: str, path: str) -> None:
    assert client.open(f"/download/{path}", method=method).status_code == 404


@every_row("path", ["//download/a.txt", "/download//a.txt", "/download//", "//s/x/a.txt"])
def test_further_slashes_make_it_the_path_of_no_file(client: FlaskClient, path: str) -> None:
    environ = create_environ() | {"PATH_INFO": path}
    assert run_wsgi_app(client.application, environ, buffered=True)[1].startswith("404 ")


def test_a_person_gets_a_page_where_there_is_no_file(client: FlaskClient) -> None:
    headers = {"Accept": "text/html", "Accept-Language": "de"}
    answer = client.get("/download/b.txt", headers=headers)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert answer.headers["Content-Language"] == "de"


def test_other_methods_learn_which_ones_there_are(client: FlaskClient) -> None:
    for method, status in (("POST", 405), ("OPTIONS", 200)):
        answer = client.open("/download/a.txt", method=method)
        allowed = set(answer.headers["Allow"].split(", "))
        assert (answer.status_code, allowed) == (status, {"GET", "HEAD", "DELETE", "OPTIONS"})


def test_a_response_that_fails_closes_the_file(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def fail(*_of: object, **_options: object) -> None:
        raise ArithmeticError

    open_file = LocalStore.open

    def remember(*of: object, **options: object) -> object:
        opened.append(open_file(*of, **options))
        return opened[-1]

    monkeypatch.setattr(LocalStore, "open", remember)
    monkeypatch.setattr(downloads, "send", fail)
    assert client.get("/download/a.txt").status_code == 500
    assert [file.body.closed for file in opened] == [True]


@pytest.mark.parametrize(
    ("method", "status", "location"), [("GET", 307, "https://bucket/a"), ("HEAD", 200, None)]
)
def test_a_download_is_redirected_to_the_url_that_the_store_gives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    status: int,
    location: str | None,
) -> None:
    monkeypatch.setattr(LocalStore, "presigned_url", lambda *_: "https://bucket/a")
    client = application(tmp_path, redirects=True).test_client()
    client.put("/upload/a.txt", data=TEXT)
    response = client.open("/download/a.txt", method=method)
    assert (response.status_code, response.headers.get("Location")) == (status, location)


@every_row(
    ("path", "route"), [("/download/a.txt", "/download/<name>"), ("/files/a.txt", "/files/<name>")]
)
def test_each_address_of_a_file_has_a_route_of_its_own(
    client: FlaskClient, path: str, route: str
) -> None:
    """Only what is read by a link counts as that."""
    environ = create_environ(path)
    record = environ[REQUEST_RECORD] = RequestRecord("GET", "", environ)
    run_wsgi_app(client.application, environ, buffered=True)  # closes the file
    assert record.route == route
