"""Who may replace a file, and what those who may not see it find out."""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.access import access_file
from fileservice.storage.local import LocalStore
from fileservice.storage.local.resumable import LocalResumableWriter
from tests.storage.contract.files import publish
from tests.support.access import EditedAccessFile
from tests.support.rows import every_row
from tests.support.tus import BYTES, VERSION, encoded
from tests.web.application import TEXT, UnreadableBody, application
from tests.web.bodies import environ_of

OLD = b"the salary is 4000\n"
NAME = "secret.txt"
ALL = "list,read,write,delete"


def digest(data: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with one file, whose owner is nobody."""
    publish(LocalStore(tmp_path / "store", fsync=False), NAME, OLD)
    return tmp_path / "store"


@pytest.fixture
def access(root: Path) -> EditedAccessFile:
    return EditedAccessFile(root.with_name("access.toml"))


@pytest.fixture
def client_with(root: Path, access: EditedAccessFile) -> Callable[..., FlaskClient]:
    def client_with(scopes: str, prefix: str = "") -> FlaskClient:
        credentials = access.set("ci", scopes, prefix)
        client = application(root, ACCESS_FILE=str(access.path), ANONYMOUS="read").test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = credentials["Authorization"]
        return client

    return client_with


ETAG = f'"{hashlib.sha256(OLD).hexdigest()}"'


@every_row("scopes", ["write", "delete", "list,read,write", "list,read,delete"])
def test_replacing_needs_write_and_delete(
    root: Path, client_with: Callable[..., FlaskClient], scopes: str
) -> None:
    """The answer does not depend on the file, and comes before the body is read."""
    client = client_with(scopes)
    environ = {"wsgi.input": UnreadableBody(), "CONTENT_LENGTH": "5"}
    for name, if_match, complete in product(
        (NAME, "none.txt"), (ETAG, "*"), ({}, {"Upload-Complete": "?0"})
    ):
        headers = {"If-Match": if_match} | complete
        answer = client.put(f"/upload/{name}", headers=headers, environ_overrides=environ)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden"), (name, headers)
    assert (root / NAME).read_bytes() == OLD


def test_replacing_is_bound_to_the_prefix(
    root: Path, client_with: Callable[..., FlaskClient]
) -> None:
    client = client_with(ALL, prefix="mine-")
    assert client.put(f"/upload/{NAME}", data=TEXT, headers={"If-Match": "*"}).status_code == 403
    assert client.put("/upload/mine-a.txt", data=OLD).status_code == 201
    answer = client.put("/upload/mine-a.txt", data=TEXT, headers={"If-Match": "*"})
    assert answer.status_code == 200
    assert (root / NAME).read_bytes() == OLD


def test_guesses_of_the_version_are_answered_alike_whether_they_are_right_or_wrong(
    root: Path, client_with: Callable[..., FlaskClient]
) -> None:
    """Who may neither list nor read could otherwise verify guesses of the content."""
    client = client_with("write,delete")
    answers = [
        client.put(f"/upload/{NAME}", data=TEXT, headers={"If-Match": tag, **digest(TEXT)})
        for tag in (ETAG, f'"{hashlib.sha256(b"a guess").hexdigest()}"', '"x"')
    ]
    texts = [a.text.replace(a.headers["X-Request-Id"], "") for a in answers]
    assert {(a.status_code, a.headers.get("ETag")) for a in answers} == {(412, None)}
    assert len(set(texts)) == 1, texts
    assert (root / NAME).read_bytes() == OLD


def test_who_may_write_and_delete_replaces_own_files_and_whatever_has_the_name(
    root: Path, client_with: Callable[..., FlaskClient]
) -> None:
    client = client_with("write,delete")
    own = client.put("/upload/own.txt", data=OLD)
    replaced = client.put("/upload/own.txt", data=TEXT, headers={"If-Match": own.headers["ETag"]})
    assert (own.status_code, replaced.status_code) == (201, 200)
    answer = client.put(f"/upload/{NAME}", data=TEXT, headers={"If-Match": "*"})
    assert answer.status_code == 200
    assert (root / NAME).read_bytes() == TEXT


# Rights that change while the bytes arrive


def put(client: FlaskClient, change: Callable[[], None]) -> TestResponse:
    headers = {"If-Match": ETAG}
    environ = environ_of(TEXT, headers, change)
    return client.put(f"/upload/{NAME}", headers=headers, environ_overrides=environ)


def tus(client: FlaskClient, change: Callable[[], None]) -> TestResponse:
    metadata = f"filename {encoded(NAME)},if-match {encoded(ETAG)}"
    headers = VERSION | {"Upload-Length": str(len(TEXT)), "Upload-Metadata": metadata}
    created = client.post("/tus/", headers=headers)
    assert created.status_code == 201
    path = created.headers["Location"].removeprefix("http://localhost")
    headers = VERSION | BYTES | {"Upload-Offset": "0"}
    environ = environ_of(TEXT, headers, change)
    return client.patch(path, headers=headers, environ_overrides=environ)


@pytest.mark.parametrize("way", [put, tus])
def test_a_right_to_delete_that_was_withdrawn_meanwhile_replaces_nothing(
    root: Path,
    access: EditedAccessFile,
    client_with: Callable[..., FlaskClient],
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[FlaskClient, Callable[[], None]], TestResponse],
) -> None:
    monkeypatch.setattr(access_file, "_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(access_file, "_WRITING_SECONDS", 0.0)
    client = client_with(ALL)
    answer = way(client, lambda: access.set("ci", "list,read,write") and None)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert (root / NAME).read_bytes() == OLD

    access.set("ci", ALL)
    assert way(client, lambda: None).status_code in (200, 204)
    assert (root / NAME).read_bytes() == TEXT


def test_a_replacement_that_was_published_before_its_process_died_is_reported_once(
    root: Path, client_with: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record still says that the upload has not ended, and HEAD publishes it again."""
    client = client_with(ALL)

    def die(_writer: LocalResumableWriter, _record: bytes) -> None:
        raise KeyboardInterrupt

    metadata = f"filename {encoded(NAME)},if-match {encoded(ETAG)}"
    headers = VERSION | {"Upload-Length": str(len(TEXT)), "Upload-Metadata": metadata}
    created = client.post("/tus/", headers=headers)
    path = created.headers["Location"].removeprefix("http://localhost")
    headers = VERSION | BYTES | {"Upload-Offset": "0"}
    with monkeypatch.context() as dying:
        dying.setattr(LocalResumableWriter, "end", die)
        with pytest.raises(KeyboardInterrupt):
            client.patch(path, data=TEXT, headers=headers)
    assert (root / NAME).read_bytes() == TEXT

    head = client.head(path, headers=VERSION)

    assert (head.status_code, head.headers["Upload-Offset"]) == (200, str(len(TEXT)))
    assert head.headers["ETag"] == f'"{hashlib.sha256(TEXT).hexdigest()}"'
    assert (root / NAME).read_bytes() == TEXT
    assert (root / NAME).stat().st_nlink == 1
