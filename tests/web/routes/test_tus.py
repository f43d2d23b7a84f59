"""/tus/: tus 1.0.0."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.rows import every_row
from tests.web.application import TEXT, published

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"MAX_FILE_SIZE": "1KiB"}


def metadata(name: str) -> dict[str, str]:
    return {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"}


def create(client: FlaskClient, name: str = "a.txt", **options: Any) -> Any:
    """Create an upload of ten bytes; `headers` are added to the request's, None removes one."""
    headers = VERSION | metadata(name) | {"Upload-Length": "10"} | options.pop("headers", {})
    given = {field: value for field, value in headers.items() if value is not None}
    return client.post("/tus/", headers=given, **options)


def path_of(response: Any) -> str:
    assert response.status_code == 201, response.text
    return str(response.headers["Location"].removeprefix("http://localhost"))


def append(client: FlaskClient, path: str, offset: int, data: bytes, **fields: str) -> Any:
    headers = VERSION | BYTES | {"Upload-Offset": str(offset)} | fields
    return client.patch(path, data=data, headers=headers)


def head(client: FlaskClient, path: str) -> Any:
    return client.head(path, headers=VERSION)


def test_an_upload_in_two_requests_is_published_with_its_last_byte(
    client: FlaskClient, root: Path
) -> None:
    path = path_of(create(client))
    first = append(client, path, 0, TEXT[:4])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "4")
    assert "Upload-Expires" in first.headers
    assert published(root) == []

    last = append(client, path, 4, TEXT[4:])
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, "10")
    assert last.headers["Content-Location"] == "http://localhost/download/a.txt"
    assert "Repr-Digest" in last.headers
    assert (root / "a.txt").read_bytes() == TEXT


def test_a_creation_may_have_the_first_bytes(client: FlaskClient) -> None:
    response = create(client, data=TEXT[:4], headers=BYTES)
    assert (response.status_code, response.headers["Upload-Offset"]) == (201, "4")


def test_head_has_the_offset_the_length_and_the_metadata(client: FlaskClient) -> None:
    path = path_of(create(client, data=TEXT[:4], headers=BYTES))
    response = head(client, path)
    assert response.status_code == 200
    assert response.headers["Upload-Offset"] == "4"
    assert response.headers["Upload-Length"] == "10"
    assert response.headers["Upload-Metadata"] == metadata("a.txt")["Upload-Metadata"]
    assert response.headers["Cache-Control"] == "no-store"


def test_a_length_may_be_deferred(client: FlaskClient, root: Path) -> None:
    response = create(client, headers={"Upload-Length": None, "Upload-Defer-Length": "1"})
    path = path_of(response)
    assert head(client, path).headers["Upload-Defer-Length"] == "1"
    append(client, path, 0, TEXT, **{"Upload-Length": "10"})
    assert published(root) == ["a.txt"]


def test_an_offset_that_is_not_the_current_one_is_a_conflict(client: FlaskClient) -> None:
    path = path_of(create(client))
    response = append(client, path, 4, TEXT[4:])
    assert (response.status_code, response.json["code"]) == (409, "offset-mismatch")
    assert response.json["offset"] == 0


def test_parts_are_concatenated_in_the_order_of_the_final_upload(
    client: FlaskClient, root: Path
) -> None:
    paths = []
    for data in (TEXT[:4], TEXT[4:]):
        fields = {"Upload-Concat": "partial", "Upload-Length": str(len(data))}
        paths.append(path_of(create(client, data=data, headers=fields | BYTES)))
    final = {"Upload-Concat": f"final;{' '.join(paths)}", "Upload-Length": None}
    response = create(client, headers=final)
    assert response.status_code == 201
    assert (root / "a.txt").read_bytes() == TEXT
    assert published(root) == ["a.txt"]


def test_a_final_upload_with_a_length_of_its_own_is_refused(client: FlaskClient) -> None:
    response = create(client, headers={"Upload-Concat": "final;/tus/a"})
    assert (response.status_code, response.json["code"]) == (400, "bad-request")


def checksum(data: bytes) -> dict[str, str]:
    digest = hashlib.sha1(data).digest()
    return {"Upload-Checksum": f"sha1 {base64.b64encode(digest).decode()}"}


def test_bytes_whose_checksum_differs_are_discarded(client: FlaskClient) -> None:
    path = path_of(create(client))
    response = append(client, path, 0, TEXT[:4], **checksum(b"else"))
    assert (response.status_code, response.json["code"]) == (460, "checksum-mismatch")
    assert head(client, path).headers["Upload-Offset"] == "0"
    assert append(client, path, 0, TEXT[:4], **checksum(TEXT[:4])).status_code == 204


def test_an_upload_that_is_terminated_is_not_found(client: FlaskClient) -> None:
    path = path_of(create(client))
    assert client.delete(path, headers=VERSION).status_code == 204
    assert head(client, path).status_code == 404


ERRORS = {
    "a bad name": ({"Upload-Metadata": "filename L2E="}, 400, "bad-name"),
    "no name": ({"Upload-Metadata": None}, 400, "bad-name"),
    "bad metadata": ({"Upload-Metadata": "filename *"}, 400, "bad-metadata"),
    "another extension": (metadata("a.exe"), 415, "extension-not-allowed"),
    "no length": ({"Upload-Length": None}, 400, "bad-request"),
    "too long": ({"Upload-Length": "1025"}, 413, "too-large"),
    "a bad checksum": ({"Upload-Checksum": "crc32 AA=="}, 400, "bad-checksum"),
    "a taken name": (metadata("taken.txt"), 409, "name-taken"),
    "another version": ({"Tus-Resumable": "0.2.2"}, 412, "tus-version"),
    "no version": ({"Tus-Resumable": None}, 412, "tus-version"),
}


@every_row(("headers", "status", "code"), ERRORS.values())
def test_a_creation_that_is_refused_creates_nothing(
    client: FlaskClient, root: Path, headers: dict[str, Any], status: int, code: str
) -> None:
    (root / "taken.txt").write_bytes(TEXT)
    response = create(client, headers=headers)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert response.headers["Tus-Resumable"] == "1.0.0"
    assert "Location" not in response.headers
    assert published(root) == ["taken.txt"]


def test_a_creation_whose_bytes_are_refused_leaves_no_upload(
    client: FlaskClient, root: Path
) -> None:
    before = sorted(root.rglob("*"))
    response = create(client, "a.pdf", data=TEXT, headers=BYTES)
    assert (response.status_code, response.json["code"]) == (415, "content-mismatch")
    assert [path for path in root.rglob("*") if path.is_file() and path not in before] == []


@every_row("method", ["PATCH", "POST"])
def test_bytes_must_have_the_content_type_of_tus(client: FlaskClient, method: str) -> None:
    path = path_of(create(client)) if method == "PATCH" else "/tus/"
    headers = VERSION | metadata("a.txt") | {"Upload-Length": "10", "Upload-Offset": "0"}
    response = client.open(path, method=method, data=TEXT, headers=headers)
    assert (response.status_code, response.json["code"]) == (415, "wrong-content-type")


@every_row("path", ["/tus/", "/tus/any", "/tus/a/b"])
def test_options_describe_the_server_without_a_version(client: FlaskClient, path: str) -> None:
    response = client.options(path)
    assert response.status_code == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    assert response.headers["Tus-Max-Size"] == "1024"
    assert {"creation", "checksum", "concatenation"} <= set(
        response.headers["Tus-Extension"].split(",")
    )
    assert response.headers["Tus-Checksum-Algorithm"] == "md5,sha1,sha256"


@every_row("path", ["/tus/a", "/tus/a/b", "/tus/%FF"])
def test_an_unknown_upload_is_not_found_and_has_the_version(client: FlaskClient, path: str) -> None:
    response = head(client, path)
    assert (response.status_code, response.headers["Tus-Resumable"]) == (404, "1.0.0")


def test_other_paths_do_not_have_the_version(client: FlaskClient) -> None:
    assert "Tus-Resumable" not in client.get("/download").headers


def test_a_client_without_patch_may_override_the_method(client: FlaskClient) -> None:
    path = path_of(create(client))
    headers = VERSION | BYTES | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    response = client.post(path, data=TEXT, headers=headers)
    assert (response.status_code, response.headers["Upload-Offset"]) == (204, "10")
