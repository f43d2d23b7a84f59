"""An upload that is complete, whose file others have by now, and to which more is appended.

See also tests/upload/resumable/test_state.py and test_append.py.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.upload.resumable import repository, session
from tests.support.tus import BYTES, VERSION, named
from tests.web.application import TEXT

MORE = b"appended\n"


@pytest.fixture
def client(client_of: Callable[..., FlaskClient]) -> FlaskClient:
    return client_of()


def complete(client: FlaskClient) -> str:
    """Complete an upload; return its path."""
    fields = VERSION | BYTES | named("a.txt") | {"Upload-Length": str(len(TEXT))}
    begun = client.post("/tus/", headers=fields, data=TEXT)
    return str(begun.headers["Location"].removeprefix("http://localhost"))


def content_after_appending(client: FlaskClient, path: str, root: Path) -> bytes:
    """Append to a complete upload in every way; return what its file has then."""
    assert (root / "a.txt").read_bytes() == TEXT
    for offset in (len(TEXT), 0, 3):
        appended = VERSION | BYTES | {"Upload-Offset": str(offset)}
        client.patch(path, headers=appended, data=MORE)
        client.patch(path, headers=appended | {"Upload-Length": "19"}, data=MORE)
    draft = {"Upload-Offset": str(len(TEXT)), "Upload-Complete": "?1"}
    draft |= {"Content-Type": "application/partial-upload"}
    client.patch(path.replace("/tus/", "/resume/"), headers=draft, data=MORE)
    return (root / "a.txt").read_bytes()


@pytest.fixture
def end_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is published, and the disk takes no record of it: so the upload looks unfinished."""
    monkeypatch.setattr(repository.UploadRepository, "end_published", lambda *_: False)


def test_nothing_is_appended_to_an_upload_that_has_ended(client: FlaskClient, root: Path) -> None:
    assert content_after_appending(client, complete(client), root) == TEXT


def test_nothing_is_appended_if_the_end_could_not_be_recorded(
    client: FlaskClient, root: Path, end_is_not_recorded: None
) -> None:
    assert content_after_appending(client, complete(client), root) == TEXT


def test_without_the_checks_of_an_append_a_published_file_changes(
    client: FlaskClient,
    root: Path,
    end_is_not_recorded: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def append(self: session.UploadSession, _request: object, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            self._writer.write(block)

    path = complete(client)
    monkeypatch.setattr(session.UploadSession, "append", append)
    assert content_after_appending(client, path, root) != TEXT
