"""Pages, pictures and documents with scripts in them, however they came into the store.

Whether browsers obey the fields is tested in tests/browser/test_uploaded_content.py. See also
tests/http/test_downloading.py and tests/storage/local/test_foreign_files.py.
"""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.storage.local import LocalStore
from fileservice.web import file_response
from tests.support.access import EditedAccessFile
from tests.support.requirements import require
from tests.support.servers import LiveServer
from tests.support.wire import ask, request
from tests.web.application import TEXT, application

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>\n"
PDF = b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\ntrailer<<>>\n"
ACTIVE = {
    "a.svg": SVG,
    "a.html": b"<!doctype html><script>alert(1)</script>",
    "a.xhtml": b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>",
    "a.xml": b"<?xml-stylesheet href='javascript:alert(1)'?><a/>",
    "a.js": b"alert(1)",
    "a.mjs": b"alert(1)",
    "a.css": b"*{background:url(//evil.example)}",
    "a.wasm": b"\0asm\1\0\0\0",
    "a.webmanifest": b"{}",
    "a.mht": b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>",
    "a.swf": b"FWS\x0a",
    "a.pdf": PDF,
    "a": SVG,
    "a.png": SVG,
    "a.txt": SVG,
}


def policy(answer: TestResponse) -> dict[str, str | None]:
    names = (
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Cross-Origin-Resource-Policy",
        "Content-Disposition",
    )
    return {name: answer.headers.get(name) for name in names}


def is_inert(answer: TestResponse) -> bool:
    """Return whether a browser that obeys the fields runs nothing in the file."""
    fields = policy(answer)
    sandbox = re.search(r"(^|;\s*)sandbox(;|$)", fields["Content-Security-Policy"] or "")
    return (
        sandbox is not None
        and "script-src" not in (fields["Content-Security-Policy"] or "")
        and fields["X-Content-Type-Options"] == "nosniff"
        and fields["Cross-Origin-Resource-Policy"] == "same-origin"
    )


@pytest.fixture
def client(client_of: Callable[..., FlaskClient], root: Path) -> FlaskClient:
    for name, content in ACTIVE.items():
        (root / name).write_bytes(content)
    return client_of()


@pytest.mark.parametrize("name", ACTIVE)
def test_a_file_with_a_script_is_inert_in_every_answer(client: FlaskClient, name: str) -> None:
    whole = client.get(f"/download/{name}")
    etag = {"If-None-Match": whole.headers["ETag"]}
    answers = [
        whole,
        client.get(f"/download/{name}?inline=1"),
        client.head(f"/download/{name}"),
        client.get(f"/download/{name}", headers={"Range": "bytes=0-1"}),
        client.get(f"/download/{name}?inline=1", headers={"Range": "bytes=0-0,2-2"}),
        client.get(f"/download/{name}", headers=etag),
        client.get(f"/archive.zip?name={name}"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 206, 206, 304, 200]
    for answer in answers:
        assert is_inert(answer), answer.headers
    for answer in (answers[0], *answers[2:4], answers[-1]):
        assert answer.headers["Content-Disposition"].startswith("attachment;")


def test_what_is_shown_inline_can_have_no_script(client: FlaskClient) -> None:
    shown = {
        name
        for name in ACTIVE
        if not client.get(f"/download/{name}?inline=1")
        .headers["Content-Disposition"]
        .startswith("attachment;")
    }
    assert shown <= {"a.pdf", "a.png", "a.txt"}


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_an_error_has_nothing_of_a_file_and_no_other_site_may_embed_it(
    client: FlaskClient, accept: str
) -> None:
    fields = {"Accept": accept}
    for answer, status in (
        (client.get("/download/missing.svg", headers=fields), 404),
        (client.get("/download/a.svg", headers=fields | {"Range": "bytes=9999-"}), 416),
        (client.get("/download/a.svg", headers=fields | {"If-Match": '"x"'}), 412),
    ):
        assert answer.status_code == status
        assert answer.mimetype in ("application/problem+json", "text/html")
        assert answer.headers.get("X-Content-Type-Options") == "nosniff"
        assert answer.headers.get("Cross-Origin-Resource-Policy") == "same-origin"
        assert b"<script>" not in answer.data


def test_the_file_of_a_link_is_inert(
    client_of: Callable[..., FlaskClient], root: Path, tmp_path: Path
) -> None:
    access = EditedAccessFile(tmp_path / "access.toml")
    credentials = access.set("owner", "read,share")
    (root / "a.svg").write_bytes(SVG)
    client = client_of(ACCESS_FILE=str(access.path))
    made = client.post("/links", json={"name": "a.svg"}, headers=credentials)
    path = f"{made.json['url'].removeprefix('http://localhost')}/a.svg"
    whole = client.get(path)
    answers = [whole, client.get(path, headers={"If-None-Match": whole.headers["ETag"]})]
    assert [answer.status_code for answer in answers] == [200, 304]
    assert all(is_inert(answer) for answer in answers)
    assert is_inert(client.get(path, headers={"Range": "bytes=0-1"}))


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.js", "a.xml", "a"])
def test_download_that_is_redirected_to_a_bucket_is_an_attachment_there(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    signed: dict[str, str] = {}

    def presigned_url(_self: LocalStore, _file: object, fields: dict[str, str]) -> str:
        signed.update(fields)
        return "https://bucket.example/a"

    monkeypatch.setattr(LocalStore, "presigned_url", presigned_url)
    (root / name).write_bytes(ACTIVE[name])
    client = application(root, redirects=True).test_client()
    answer = client.get(f"/download/{name}?inline=1")
    assert answer.status_code == 307
    assert is_inert(answer)
    assert signed["Content-Disposition"].startswith("attachment;")
    assert "script" not in signed["Content-Type"]


def test_without_the_fields_of_files_a_script_runs(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_response, "_FILE_HEADERS", ())
    assert not is_inert(client.get("/download/a.svg"))


def make(kind: str, path: Path, outside: Path) -> None:
    """Put something into the store that is no ordinary file."""
    match kind:
        case "directory":
            path.mkdir()
        case "symbolic link":
            path.symlink_to(outside)
        case "link to itself":
            path.symlink_to(path)
        case "FIFO":
            os.mkfifo(path)
        case "device":
            if os.geteuid() != 0:
                require("only root can make devices")
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero, which never ends
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))


KINDS = ["directory", "symbolic link", "link to itself", "FIFO", "device", "socket"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_does_not_exist(
    over_a_directory: None, server: LiveServer, tmp_path: Path, kind: str
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"secret")
    path = server.store / "odd.txt"
    made = tmp_path / "s"  # the path of a socket must be short
    make(kind, path if kind != "socket" else made, outside)
    if kind == "socket":
        made.rename(path)
    try:
        for line in ("GET /download/odd.txt", "HEAD /download/odd.txt", "DELETE /download/odd.txt"):
            assert ask(server, request(line)).status == 404
        assert ask(server, request("GET /archive.zip?name=odd.txt")).status == 404
        assert ask(server, request("GET /download")).json() == []
        assert ask(server, request("PUT /upload/odd.txt", body=TEXT)).status == 409
        assert outside.read_bytes() == b"secret"
    finally:
        path.rmdir() if kind == "directory" else path.unlink()


def test_a_hard_link_is_a_file_and_inert(client: FlaskClient, root: Path) -> None:
    (root / "linked.html").hardlink_to(root.parent / "outside.txt")
    answer = client.get("/download/linked.html?inline=1")
    assert answer.data == b"nobody may read this\n"
    assert is_inert(answer)
    assert answer.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    "raw",
    [b".hidden", b"caf\xe9.txt", b"e\xcc\x81.txt", b"a\nb.txt", b"a\\b", b"CON", b" a", b"a."],
)
def test_a_name_that_is_none_is_neither_served_nor_listed(
    client_of: Callable[..., FlaskClient], root: Path, raw: bytes
) -> None:
    client = client_of()
    (root / os.fsdecode(raw)).write_bytes(TEXT)
    path = f"/download/{raw.decode('latin-1')}"
    assert client.open(environ_overrides={"PATH_INFO": path}).status_code == 404
    assert client.get("/download").json == []
