"""Names that lead out of the directory, in any encoding.

See also tests/test_names.py, tests/http/test_upload_names.py, tests/web/test_path_parameters.py.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice import names
from tests.web.application import TEXT

UP = ["..%2foutside.txt", "..%5coutside.txt", "%2e%2e%2foutside.txt", "../outside.txt"]
UP += [f"folder%2f..%2f{name}" for name in UP]
ENCODED = ["%252e%252e%252foutside.txt", "%c0%ae%c0%ae%c0%afoutside.txt", "..%00%2foutside.txt"]
PRIVATE = [
    ".fileservice%2fidentity",
    ".fileservice/identity",
    ".%2f.fileservice%2fidentity",
    ".FILESERVICE%2fidentity",
    "%2efileservice%2fidentity",
    "%252efileservice%252fidentity",
    "．fileservice%2fidentity",
    ".fileservice%2f",
    ".fileservice",
    "a%2f..%2f.fileservice%2fidentity",
]


def send(client: FlaskClient, method: str, path: str) -> TestResponse:
    """Send a request with a body; the bytes of the path are decoded once, as a server does it."""
    decoded = unquote_to_bytes(path).decode("latin-1")
    return client.open(method=method, data=TEXT, environ_overrides={"PATH_INFO": decoded})


def reads_outside(client: FlaskClient) -> bool:
    answers = [send(client, "GET", f"/download/{name}") for name in UP + ENCODED + PRIVATE]
    answers += [client.get(f"/archive.zip?name={name}") for name in UP + ENCODED + PRIVATE]
    return any(answer.status_code == 200 for answer in answers)


def writes_outside(client: FlaskClient, root: Path) -> bool:
    for name in UP + ENCODED:
        send(client, "PUT", f"/upload/{name.replace('outside', 'new')}")
    send(client, "PUT", "/upload/.hidden.txt")
    # What is decoded once is a name like others.
    known = {"%2e%2e%2fnew.txt", ".fileservice", "folder"}
    return (root.parent / "new.txt").exists() or {path.name for path in root.iterdir()} != known


@pytest.fixture(autouse=True)
def folder(root: Path) -> None:
    """A directory in the store, through which a path could lead."""
    (root / "folder").mkdir()


def test_no_spelling_of_a_path_leaves_the_directory(
    client_of: Callable[..., FlaskClient], root: Path
) -> None:
    client = client_of()
    assert (root / ".fileservice" / "identity").exists()
    assert not reads_outside(client)
    assert not writes_outside(client, root)
    assert send(client, "DELETE", "/download/..%2foutside.txt").status_code == 404
    assert (root.parent / "outside.txt").exists()


def test_without_the_rules_of_names_a_path_leaves_the_directory(
    client_of: Callable[..., FlaskClient], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_problem", lambda _name: None)
    client = client_of()
    assert reads_outside(client)
    assert writes_outside(client, root)
