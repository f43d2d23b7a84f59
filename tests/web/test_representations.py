"""How a stored file is described to clients."""

import hashlib
from dataclasses import replace

from flask import Flask

from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.web.representations import (
    completed_upload_headers,
    content_disposition,
    content_type,
    etag,
    representation_headers,
    stored_response,
    sunset,
    to_json,
    validators,
)
from tests.support.rows import every_row

BASE = "https://files.example/sub"
DIGEST = hashlib.sha256(b"text\n").digest()


def stored_file(
    name: str = "a b.txt", *, charset: str | None = "utf-8", sha256: bytes | None = DIGEST
) -> StoredFile:
    content = Content("text/plain", charset, sha256)
    return StoredFile(FileName(name), 5, 1_700_000_000_999_999_999, content, "v1")


def test_the_json_of_a_file_has_its_name_url_size_type_time_and_digest() -> None:
    assert to_json(stored_file(), BASE) == {
        "filename": "a b.txt",
        "url": "https://files.example/sub/download/a%20b.txt",
        "size": 5,
        "type": "text/plain",
        "modified": "2023-11-14T22:13:20Z",
        "expires": None,
        "digest": representation_headers(stored_file())["Repr-Digest"],
    }


def test_the_time_of_expiry_is_in_the_json_and_in_sunset() -> None:
    file = replace(stored_file(), expires=1_800_000_000)
    assert to_json(file, BASE)["expires"] == "2027-01-15T08:00:00Z"
    assert sunset(file) == {"Sunset": "Fri, 15 Jan 2027 08:00:00 GMT"}
    assert sunset(stored_file()) == {}
    assert completed_upload_headers(file, BASE)["Sunset"] == sunset(file)["Sunset"]


def test_the_digest_of_a_file_without_one_is_null() -> None:
    assert to_json(stored_file(sha256=None), BASE)["digest"] is None


def test_repr_digest_is_left_out_if_the_digest_is_unknown() -> None:
    assert representation_headers(stored_file(sha256=None)) == {"ETag": '"v1"'}
    assert representation_headers(stored_file()).keys() == {"ETag", "Repr-Digest"}
    assert representation_headers(stored_file())["Repr-Digest"].startswith("sha-256=:")


@every_row(("created", "status"), [(True, 201), (False, 200)])
def test_the_response_to_an_upload_says_whether_it_created_the_file(
    created: bool, status: int
) -> None:
    with Flask(__name__).test_request_context():
        response = stored_response(stored_file(), BASE, created=created)
    assert response.status_code == status
    assert response.json == to_json(stored_file(), BASE)
    assert response.headers["Location"] == response.json["url"]
    assert response.headers["ETag"] == '"v1"'
    assert response.headers["Cache-Control"] == "no-store"


def test_validators_are_the_entity_tag_and_whole_seconds() -> None:
    assert etag(stored_file()) == '"v1"'
    assert validators(stored_file()).etag == '"v1"'
    assert validators(stored_file()).modified == 1_700_000_000


def test_content_type_has_the_charset_if_it_is_known() -> None:
    assert content_type(stored_file()) == "text/plain; charset=utf-8"
    assert content_type(stored_file(charset=None)) == "text/plain"


@every_row(
    ("media_type", "expected"),
    [
        *(
            (media_type, "text/plain")
            for media_type in (
                *("text/javascript", "application/javascript", "application/x-javascript"),
                *("text/ecmascript", "application/ecmascript", "text/javascript1.5"),
                *("text/jscript", "text/livescript", "Text/JavaScript", "text/css"),
            )
        ),
        *((other, other) for other in ("text/html", "application/json", "application/pdf")),
    ],
)
def test_content_type_is_none_that_a_page_loads(media_type: str, expected: str) -> None:
    content = Content(media_type)
    assert content_type(replace(stored_file(charset=None), content=content)) == expected


@every_row(
    ("name", "expected"),
    [
        ("a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("\u00e4.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt"),
        ('a"%b;.txt', "attachment; filename=\"a__b;.txt\"; filename*=UTF-8''a%22%25b%3B.txt"),
        ("\U0001f600.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%F0%9F%98%80.txt"),
    ],
)
def test_content_disposition_has_the_name_in_ascii_and_as_it_is(name: str, expected: str) -> None:
    assert content_disposition("attachment", FileName(name)) == expected
