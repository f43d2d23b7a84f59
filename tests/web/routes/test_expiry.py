"""How long files may be kept by the settings, and what requests say of it."""

import os
import re
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.tus import BYTES, VERSION, encoded
from tests.support.wire import form, part
from tests.web.application import TEXT, application

DAY = 86_400


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application that keeps files for a day by default, and for a week at most."""
    return application(tmp_path_factory.mktemp("limited"), FILE_EXPIRY="1d", FILE_EXPIRY_MAX="7d")


@pytest.fixture
def limited_client(limited: Flask) -> FlaskClient:
    return limited.test_client()


def send_form(client: FlaskClient, path: str, *parts: bytes) -> TestResponse:
    content_type = "multipart/form-data; boundary=XboundaryX"
    return client.post(path, data=form(*parts), content_type=content_type)


def expiry_of(root: Path, name: str) -> int:
    return int(os.getxattr(root / name, "user.fileservice.expires"))


def test_without_settings_a_file_is_kept_for_ever(client: FlaskClient, root: Path) -> None:
    for query in ("", "?expires=", "?expires=%20"):
        response = client.put(f"/upload/a.txt{query}", data=TEXT)

        assert (response.status_code, response.json["expires"]) == (201, None)
        assert "user.fileservice.expires" not in os.listxattr(root / "a.txt")
        assert "Sunset" not in client.get("/download/a.txt").headers
        client.delete("/download/a.txt")


def test_default_applies_to_an_upload_that_names_no_time(limited_client: FlaskClient) -> None:
    before = time.time()
    for number, query in enumerate(("", "?expires=")):
        response = limited_client.put(f"/upload/default-{number}.txt{query}", data=TEXT)

        head = limited_client.head(f"/download/default-{number}.txt")
        assert response.status_code == 201
        expires = head.headers.get("Sunset", type=lambda text: text)
        assert expires
    record = limited_client.get("/download?prefix=default-0").json[0]
    left = time.mktime(time.strptime(record["expires"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert DAY <= left - before < DAY + 600


class Later:
    """The clock two days later."""

    @staticmethod
    def time() -> float:
        return time.time() + 2 * DAY


def test_default_begins_when_a_resumable_upload_is_published(
    limited_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was created two days before, and files are kept for one."""
    metadata = {"Upload-Metadata": f"filename {encoded('slow.txt')}"}
    fields = VERSION | {"Upload-Length": str(len(TEXT))}
    created = limited_client.post("/tus/", headers=fields | metadata)
    assert created.status_code == 201
    monkeypatch.setattr("fileservice.upload.publish.time", Later)
    before = time.time()

    fields = VERSION | BYTES | {"Upload-Offset": "0"}
    sent = limited_client.patch(created.headers["Location"], data=TEXT, headers=fields)

    assert sent.status_code == 204, sent.text
    expires = parsedate_to_datetime(sent.headers["Sunset"]).timestamp()
    assert 3 * DAY - 1 <= expires - before < 3 * DAY + 600


def test_time_that_the_client_names_does_not_begin_again(
    limited_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = f"filename {encoded('late.txt')},expires {encoded('1d')}"
    fields = VERSION | {"Upload-Length": str(len(TEXT)), "Upload-Metadata": metadata}
    created = limited_client.post("/tus/", headers=fields)
    monkeypatch.setattr("fileservice.upload.publish.time", Later)

    fields = VERSION | BYTES | {"Upload-Offset": "0"}
    sent = limited_client.patch(created.headers["Location"], data=TEXT, headers=fields)

    assert (sent.status_code, sent.json["code"]) == (400, "bad-expiry")


def test_limit_is_the_default_where_only_that_is_set(tmp_path: Path) -> None:
    client = application(tmp_path, FILE_EXPIRY_MAX="7d").test_client()
    before = time.time()

    assert client.put("/upload/a.txt", data=TEXT).status_code == 201

    assert 7 * DAY <= expiry_of(tmp_path, "a.txt") - before < 7 * DAY + 600


def test_time_up_to_the_limit_is_accepted_and_a_later_one_is_refused_with_the_limit(
    limited_client: FlaskClient,
) -> None:
    assert limited_client.put("/upload/week.txt?expires=7d", data=TEXT).status_code == 201
    for late in ("7.001d", "2100-01-01T00:00:00Z"):
        response = limited_client.put(f"/upload/late.txt?expires={late}", data=TEXT)

        assert response.status_code == 400
        assert response.json["code"] == "bad-expiry"
        assert response.json["limit"] == 7 * DAY
        assert response.json["detail"] == "a file may be kept for 7d at most"
        assert limited_client.get("/download/late.txt").status_code == 404


def test_time_that_is_given_twice_must_be_the_same(client: FlaskClient) -> None:
    def send(query: str, field: str) -> tuple[int, str]:
        parts = part("expires", field.encode()), part("file", TEXT, "a.txt")
        response = send_form(client, f"/upload{query}", *parts)
        client.delete("/download/a.txt")
        return response.status_code, response.json.get("code", "")

    assert send("?expires=1d", "1d") == (201, "")
    assert send("?expires=1d", "") == (201, "")
    assert send("?expires=", "1d") == (201, "")
    assert send("?expires=1d", "2d") == (400, "bad-expiry")
    assert send("?expires=1d&expires=2d", "") == (400, "bad-expiry")


def test_field_after_the_file_is_refused_and_nothing_is_stored(
    client: FlaskClient, root: Path
) -> None:
    response = send_form(client, "/upload", part("file", TEXT, "a.txt"), part("expires", b"1d"))

    assert (response.status_code, response.json["code"]) == (400, "bad-form")
    assert not (root / "a.txt").exists()


def test_time_in_tus_metadata_that_is_no_text_is_refused_at_creation(client: FlaskClient) -> None:
    for value in (b"\xff\xfe", b"soon", b"1d\0"):
        metadata = f"filename {encoded('a.txt')},expires {encoded(value)}"
        fields = VERSION | {"Upload-Length": "5", "Upload-Metadata": metadata}

        response = client.post("/tus/", headers=fields)

        assert (response.status_code, response.json["code"]) == (400, "bad-expiry")


def test_file_system_without_attributes_is_reported(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", unsupported)
    response = client.put("/upload/a.txt?expires=1d", data=TEXT)

    assert (response.status_code, response.json["code"]) == (501, "expiry-not-supported")
    assert not (root / "a.txt").exists()


def test_page_says_when_a_file_goes(client: FlaskClient) -> None:
    client.put("/upload/goes.txt?expires=73h", data=TEXT)
    client.put("/upload/stays.txt", data=TEXT)

    rows = re.findall(r"<tr role=\"row\".*?</tr>", client.get("/upload").text, re.DOTALL)

    [goes] = [row for row in rows if "goes.txt" in row]
    [stays] = [row for row in rows if "stays.txt" in row]
    assert re.search(r'class="expires">until <time datetime="[\dT:+-]+">[\d: -]+ UTC</time>', goes)
    assert 'class="expires"' not in stays
