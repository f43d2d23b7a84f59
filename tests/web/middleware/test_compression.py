"""Texts of the service are compressed for clients that accept gzip, and stored files never are."""

import gzip
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.rows import every_row
from tests.web.application import application

GZIP = {"Accept-Encoding": "gzip, br"}
TEXTS = ["/upload", "/download", "/download?limit=100", "/download/missing.txt", "/sign-in"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    for number in range(300):
        (root / f"{number:03}.txt").write_bytes(b"text " * 1000)
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> FlaskClient:
    return application(root).test_client()


def decoded(response: TestResponse) -> bytes:
    if response.headers.get("Content-Encoding") == "gzip":
        return gzip.decompress(response.data)
    return response.data


def without_id(response: TestResponse) -> bytes:
    """Return the text with a placeholder for the id of the request, which problems repeat."""
    return decoded(response).replace(response.headers["X-Request-Id"].encode(), b"id")


@every_row("path", TEXTS)
def test_text_is_the_same_with_and_without_compression(client: FlaskClient, path: str) -> None:
    plain, compressed = client.get(path), client.get(path, headers=GZIP)
    assert "Content-Encoding" not in plain.headers
    assert without_id(compressed) == without_id(plain)
    assert plain.vary.to_header() == compressed.vary.to_header()
    assert "Accept-Encoding" in plain.vary
    is_long = len(plain.data) > 512
    assert ("Content-Encoding" in compressed.headers) == is_long
    assert not is_long or len(compressed.data) < 0.6 * len(plain.data)


def test_whole_list_is_compressed_while_it_is_sent(client: FlaskClient) -> None:
    response = client.get("/download", headers=GZIP)
    assert response.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in response.headers
    assert len(response.data) < len(decoded(response)) / 5


@every_row("path", ["/upload", "/download?limit=100"])
def test_head_has_the_length_of_the_compressed_text(client: FlaskClient, path: str) -> None:
    head, got = client.head(path, headers=GZIP), client.get(path, headers=GZIP)
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.data))


@pytest.mark.parametrize("name", ["file.txt", "file.json", "file.html"])
def test_stored_files_are_never_compressed(tmp_path: Path, name: str) -> None:
    data = b'"%b"' % (b"text " * 1000)
    (tmp_path / name).write_bytes(data)
    client = application(tmp_path).test_client()
    response = client.get(f"/download/{name}", headers=GZIP)
    assert "Content-Encoding" not in response.headers
    assert response.data == data
    assert response.content_length == len(data)
    part = client.get(f"/download/{name}", headers=GZIP | {"Range": "bytes=1-2000"})
    assert (part.status_code, part.data) == (206, data[1:2001])


@every_row(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("GZIP;q=0.1", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("a," * 1000 + "gzip", False),
    ],
)
def test_client_decides_whether_it_is_compressed(
    client: FlaskClient, accepted: str, compressed: bool
) -> None:
    response = client.get("/upload", headers={"Accept-Encoding": accepted})
    assert ("Content-Encoding" in response.headers) == compressed


def test_assets_are_compressed(client: FlaskClient) -> None:
    (path,) = {part for part in client.get("/upload").text.split('"') if "page.css" in part}
    plain, compressed = client.get(path), client.get(path, headers=GZIP)
    assert decoded(compressed) == plain.data
    assert len(compressed.data) < len(plain.data) / 2
    assert "Accept-Encoding" in plain.vary
    assert "Accept-Encoding" in compressed.vary


@every_row("path", ["/upload", "/download?limit=100", "/download?prefix=00"])
@every_row("headers", [{}, GZIP])
def test_what_has_not_changed_is_answered_304(
    client: FlaskClient, root: Path, path: str, headers: dict[str, str]
) -> None:
    etag = client.get(path, headers=headers).headers["ETag"]
    assert etag.startswith('W/"')
    response = client.get(path, headers=headers | {"If-None-Match": f'"other", {etag}'})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag
    (root / "0000.txt").write_bytes(b"new")
    try:
        response = client.get(path, headers=headers | {"If-None-Match": etag})
        assert response.status_code == 200
        assert response.headers["ETag"] != etag
    finally:
        (root / "0000.txt").unlink()


def test_list_with_another_next_page_has_another_entity_tag(
    client: FlaskClient, root: Path
) -> None:
    last = client.get("/download?limit=1&after=298.txt")
    (root / "zzz.txt").write_bytes(b"new")
    try:
        assert client.get("/download?limit=1&after=298.txt").data == last.data
        assert client.get("/download?limit=1&after=298.txt").headers["ETag"] != last.headers["ETag"]
    finally:
        (root / "zzz.txt").unlink()


def test_entity_tag_differs_by_the_reader(root: Path) -> None:
    tags = {
        application(root, ANONYMOUS=scopes).test_client().get("/upload").headers["ETag"]
        for scopes in ("list", "list,read", "list,read,write")
    }
    assert len(tags) == 3
