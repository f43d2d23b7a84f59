"""/resume/: draft-ietf-httpbis-resumable-upload, interop version 8."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fileservice.wsgi_extensions import SEND_INTERIM_RESPONSE
from tests.support.rows import every_row
from tests.web.application import TEXT, published

PARTIAL = {"Content-Type": "application/partial-upload"}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"MAX_FILE_SIZE": "16KiB"}


def create(client: FlaskClient, data: bytes, *, name: str = "a.txt", **fields: str) -> Any:
    """Begin an upload that is not complete with these bytes."""
    headers = {"Upload-Complete": "?0"} | fields
    return client.put(f"/upload/{name}", data=data, headers=headers)


def append(
    client: FlaskClient, path: str, offset: int, data: bytes, complete: str = "?1", **fields: str
) -> Any:
    headers = PARTIAL | {"Upload-Offset": str(offset), "Upload-Complete": complete} | fields
    environ = {"CONTENT_LENGTH": str(len(data))}  # also of an empty body
    return client.patch(path, data=data, headers=headers, environ_overrides=environ)


def path_of(response: Any) -> str:
    assert response.status_code == 201, response.text
    return str(response.headers["Location"].removeprefix("http://localhost"))


def test_an_upload_in_two_requests_is_published_with_the_complete_one(
    client: FlaskClient, root: Path
) -> None:
    first = create(client, TEXT[:4])
    path = path_of(first)
    assert path.startswith("/resume/")
    assert (first.headers["Upload-Offset"], first.headers["Upload-Complete"]) == ("4", "?0")
    assert published(root) == []

    last = append(client, path, 4, TEXT[4:])
    assert (last.status_code, last.headers["Upload-Complete"]) == (201, "?1")
    assert last.json["url"] == last.headers["Location"] == "http://localhost/download/a.txt"
    assert (root / "a.txt").read_bytes() == TEXT


def test_bytes_that_do_not_complete_the_file_are_answered_204(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4]))
    response = append(client, path, 4, TEXT[4:8], "?0")
    assert (response.status_code, response.headers["Upload-Offset"]) == (204, "8")
    assert response.headers["Upload-Complete"] == "?0"


def test_head_has_the_offset_the_length_and_the_limit(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4], **{"Upload-Length": "10"}))
    response = client.head(path)
    assert response.status_code == 204
    assert response.headers["Upload-Offset"] == "4"
    assert response.headers["Upload-Length"] == "10"
    assert response.headers["Upload-Complete"] == "?0"
    assert response.headers["Upload-Limit"].startswith("max-size=16384, max-age=86")
    assert response.headers["Cache-Control"] == "no-store"


def test_head_of_a_finished_upload_has_the_url_of_the_file(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4]))
    append(client, path, 4, TEXT[4:])
    response = client.head(path)
    assert response.headers["Upload-Complete"] == "?1"
    assert response.headers["Content-Location"] == "http://localhost/download/a.txt"


def test_an_offset_that_is_not_the_current_one_is_a_conflict_with_both_offsets(
    client: FlaskClient,
) -> None:
    path = path_of(create(client, TEXT[:4]))
    response = append(client, path, 6, TEXT[6:])
    assert response.status_code == 409
    assert response.headers["Upload-Offset"] == "4"
    assert (response.json["expected-offset"], response.json["provided-offset"]) == (4, 6)


@every_row(
    ("fields", "code"),
    [({"Upload-Offset": ""}, "bad-request"), ({"Upload-Complete": ""}, "bad-request")],
)
def test_an_append_without_its_fields_is_refused(
    client: FlaskClient, fields: Mapping[str, str], code: str
) -> None:
    path = path_of(create(client, TEXT[:4]))
    response = append(client, path, 4, TEXT[4:], **fields)
    assert (response.status_code, response.json["code"]) == (400, code)


def test_an_append_must_have_the_content_type_of_the_draft(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4]))
    response = append(client, path, 4, TEXT[4:], **{"Content-Type": "text/plain"})
    assert (response.status_code, response.json["code"]) == (415, "wrong-content-type")


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "completed-upload"), (b"more", "inconsistent-upload-length")]
)
def test_a_finished_upload_takes_no_bytes(client: FlaskClient, data: bytes, code: str) -> None:
    path = path_of(create(client, TEXT[:4]))
    append(client, path, 4, TEXT[4:])
    response = append(client, path, 10, data)
    assert (response.status_code, response.json["code"]) == (400, code)


def test_lengths_that_contradict_each_other_are_refused(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4]))
    response = append(client, path, 4, TEXT[4:], **{"Upload-Length": "11"})
    assert (response.status_code, response.json["code"]) == (400, "inconsistent-upload-length")


@every_row("complete", ["?0", "?1"])
def test_content_that_is_refused_is_reported_with_upload_complete(
    client: FlaskClient, root: Path, complete: str
) -> None:
    path = path_of(create(client, TEXT[:4]))
    response = append(client, path, 4, b"\0" * 8192, complete)
    assert (response.status_code, response.json["code"]) == (415, "content-mismatch")
    assert response.headers["Upload-Complete"] == complete
    assert published(root) == []


def test_an_error_that_can_be_mended_does_not_have_upload_complete(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4]))
    assert "Upload-Complete" not in append(client, path, 6, TEXT[6:]).headers


def test_an_upload_that_repeats_a_stored_file_leaves_no_record(
    client: FlaskClient, root: Path
) -> None:
    """Its client is not told of an upload that it could ask for."""
    digest = client.put("/upload/a.txt", data=TEXT).headers["Repr-Digest"]
    records = set((root / ".fileservice/ended").iterdir())
    response = create(client, TEXT, **{"Repr-Digest": digest})
    assert (response.status_code, response.headers["Upload-Complete"]) == (200, "?1")
    assert set((root / ".fileservice/ended").iterdir()) == records


def test_an_upload_that_is_cancelled_is_not_found(client: FlaskClient) -> None:
    path = path_of(create(client, TEXT[:4]))
    assert client.delete(path).status_code == 204
    assert client.head(path).status_code == 404


class TestInterimResponses:
    FIELDS = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}  # noqa: RUF012

    def test_a_client_that_understands_them_gets_the_url_before_its_body_is_read(
        self, client: FlaskClient
    ) -> None:
        sent: list[tuple[str, Mapping[str, str]]] = []
        response = client.put(
            "/upload/a.txt",
            data=TEXT,
            headers=self.FIELDS,
            environ_overrides={
                SEND_INTERIM_RESPONSE: lambda status, fields: sent.append((status, fields))
            },
        )
        assert (response.status_code, response.headers["Upload-Complete"]) == (201, "?1")
        ((status, fields),) = sent
        assert status.startswith("104 ")
        assert fields["Location"].startswith("http://localhost/resume/")
        assert fields["Upload-Draft-Interop-Version"] == "8"

    @pytest.mark.parametrize("version", ["", "6", "9", "8x"])
    def test_a_client_of_another_version_gets_none(self, client: FlaskClient, version: str) -> None:
        def fail(*_of: object) -> None:
            raise AssertionError("an interim response was sent")

        response = client.put(
            "/upload/a.txt",
            data=TEXT,
            headers=self.FIELDS | {"Upload-Draft-Interop-Version": version},
            environ_overrides={SEND_INTERIM_RESPONSE: fail},
        )
        assert (response.status_code, "Upload-Complete" in response.headers) == (201, False)

    def test_a_client_that_closed_the_connection_leaves_no_upload(
        self, client: FlaskClient, root: Path
    ) -> None:
        def fail(*_of: object) -> None:
            raise BrokenPipeError

        before = sorted(path for path in root.rglob("*") if path.is_file())
        response = client.put(
            "/upload/a.txt",
            data=TEXT,
            headers=self.FIELDS,
            environ_overrides={SEND_INTERIM_RESPONSE: fail},
        )
        assert (response.status_code, response.json["code"]) == (400, "incomplete-body")
        assert sorted(path for path in root.rglob("*") if path.is_file()) == before


def test_an_upload_without_upload_complete_is_an_ordinary_one(client: FlaskClient) -> None:
    response = client.put("/upload/a.txt", data=TEXT)
    assert (response.status_code, "Upload-Complete" in response.headers) == (201, False)


def test_conditions_are_evaluated_before_an_upload_is_created(
    client: FlaskClient, root: Path
) -> None:
    response = create(client, TEXT[:4], **{"If-Match": '"other"'})
    assert (response.status_code, response.json["code"]) == (412, "precondition-failed")
