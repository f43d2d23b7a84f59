"""Those who may write and neither list nor read find out nothing about the stored files."""

import hashlib
import io
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.access import EditedAccessFile
from tests.support.request_ids import without_id
from tests.support.tus import named
from tests.web.application import TEXT, application, published

SECRET_CONTENT = b"the salary is 4000\n"
VISIBLE = ["list,write", "read,write", "list,read,write"]


def digest(data: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"}


def writer(root: Path, scopes: str, prefix: str = "") -> FlaskClient:
    """A client of someone with these scopes, of a store with the file secret.txt."""
    app = application(root, ANONYMOUS="read,write")
    stored = app.test_client().put("/upload/secret.txt", data=SECRET_CONTENT)
    assert stored.status_code in (201, 409)
    access = EditedAccessFile(root.with_name("access.toml"))
    credentials = access.set("writer", scopes, prefix)
    client = application(root, ACCESS_FILE=str(access.path)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = credentials["Authorization"]
    return client


def form(name: str, data: bytes = TEXT) -> dict[str, Any]:
    return {"data": {"file": (io.BytesIO(data), name)}}


def seen(response: TestResponse) -> tuple[int, str, str | None]:
    text = without_id(response.data, response.headers).decode()
    return response.status_code, text, response.headers.get("ETag")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def test_guesses_of_the_content_are_answered_alike_whether_they_are_right_or_wrong(
    root: Path,
) -> None:
    client = writer(root, "write")
    right, wrong = SECRET_CONTENT, SECRET_CONTENT.replace(b"4", b"5")
    for fields in ({}, {"Upload-Complete": "?0"}, {"Upload-Complete": "?1"}):
        answers = [
            client.put("/upload/secret.txt", data=data, headers=digest(data) | fields)
            for data in (right, wrong)
        ]
        assert seen(answers[0]) == seen(answers[1])
        assert answers[0].status_code == 409
    for data in (right, wrong):
        fields = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))}
        created = client.post("/tus/", headers=fields | named("secret.txt") | digest(data))
        assert created.status_code == 409


def test_a_guess_is_not_verified_either_if_the_name_is_taken_while_it_is_sent(root: Path) -> None:
    client = writer(root, "write")
    (root / "secret.txt").unlink()
    other = application(root, ANONYMOUS="write").test_client()

    class Body(io.BytesIO):
        def read(self, *count: int) -> bytes:
            if "secret.txt" not in published(root):
                assert other.put("/upload/secret.txt", data=SECRET_CONTENT).status_code == 201
            return super().read(*count)

    answer = client.put(
        "/upload/secret.txt", input_stream=Body(SECRET_CONTENT), headers=digest(SECRET_CONTENT)
        | {"Content-Length": str(len(SECRET_CONTENT))},
    )  # fmt: skip
    assert answer.status_code == 409


@pytest.mark.parametrize("scopes", VISIBLE)
def test_an_upload_is_repeated_safely_by_those_who_may_see_the_file(
    root: Path, scopes: str
) -> None:
    client = writer(root, scopes)
    answer = client.put("/upload/secret.txt", data=SECRET_CONTENT, headers=digest(SECRET_CONTENT))
    assert answer.status_code == 200


def test_an_upload_is_repeated_safely_by_whoever_has_stored_the_file(root: Path) -> None:
    access = EditedAccessFile(root.with_name("access.toml"))
    first, other = (access.set(name, "write") for name in ("first", "other"))
    client = application(root, ACCESS_FILE=str(access.path)).test_client()
    for credentials, status in ((first, 201), (first, 200), (other, 409)):
        headers = digest(TEXT) | credentials
        answer = client.put("/upload/own.txt", data=TEXT, headers=headers)
        assert answer.status_code == status


def conditions(root: Path) -> list[dict[str, str]]:
    """Conditions that are true and false of the stored file."""
    etag = application(root).test_client().get("/download/secret.txt").headers["ETag"]
    return [
        {"If-Match": etag},
        {"If-Match": '"x"'},
        {"If-Match": "*"},
        {"If-None-Match": etag},
        {"If-None-Match": '"x"'},
        {"If-None-Match": f"*, {etag}"},
        {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If-Unmodified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"},
    ]


@pytest.mark.parametrize("fields", [{}, {"Upload-Complete": "?0"}])
def test_conditions_reveal_nothing_about_a_file(root: Path, fields: dict[str, str]) -> None:
    client = writer(root, "write")
    for condition in conditions(root):
        headers = condition | fields
        answers = [
            client.put(f"/upload/{name}", data=TEXT, headers=headers)
            for name in ("secret.txt", "hidden.txt")
        ]
        assert {answer.json["code"] for answer in answers} == {"forbidden"}
        assert seen(answers[0]) == seen(answers[1])
    assert published(root) == ["secret.txt"]


def test_conditions_of_a_form_reveal_nothing_about_names_with_another_prefix(root: Path) -> None:
    client = writer(root, "list,read,write", prefix="mine-")
    for condition in conditions(root):
        answers = [
            client.post("/upload", headers=condition, **form(name))
            for name in ("secret.txt", "hidden.txt")
        ]
        assert {answer.json["code"] for answer in answers} == {"forbidden"}
        assert seen(answers[0]) == seen(answers[1])


def test_a_new_file_may_be_asked_for_by_everybody_who_may_write(root: Path) -> None:
    client = writer(root, "write")
    headers = {"If-None-Match": "*"}
    assert client.put("/upload/secret.txt", data=TEXT, headers=headers).status_code == 412
    assert client.put("/upload/new.txt", data=TEXT, headers=headers).status_code == 201


@pytest.mark.parametrize("scopes", VISIBLE)
def test_conditions_are_evaluated_for_those_who_may_see_the_file(root: Path, scopes: str) -> None:
    client = writer(root, scopes)
    answers = [
        client.put("/upload/secret.txt", data=TEXT, headers=condition).status_code
        for condition in conditions(root)
    ]
    # Replacing needs `delete` as well (see test_replacing).
    assert answers == [403, 403, 403, 412, 409, 409, 412, 409]
