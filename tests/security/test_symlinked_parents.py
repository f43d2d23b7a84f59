"""Symbolic links in the place of a file, and of the directories that lead to one.

A path has one segment below the directory of the store, so nothing but the last one can be a link.
See also tests/storage/local/test_foreign_files.py.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice import names
from fileservice.storage.local import published
from tests.web.application import TEXT


@pytest.fixture
def linked(root: Path) -> Path:
    (root / "link.txt").symlink_to(root.parent / "outside.txt")
    (root / "folder").symlink_to(root.parent)
    return root


def follows(client: FlaskClient, path: str) -> bool:
    return b"nobody" in client.get(f"/download/{path}").data


def writes_through(client: FlaskClient, root: Path) -> bool:
    client.put("/upload/folder%2fnew.txt", data=TEXT)
    client.put("/upload/link.txt", data=TEXT, headers={"If-Match": "*"})
    outside = root.parent / "outside.txt"
    return (root.parent / "new.txt").exists() or outside.read_bytes() == TEXT


def test_no_link_is_followed(client_of: Callable[..., FlaskClient], linked: Path) -> None:
    client = client_of()
    assert not follows(client, "link.txt")
    assert not follows(client, "folder%2foutside.txt")
    assert not writes_through(client, linked)
    assert client.get("/download").json == []


def test_without_nofollow_a_link_is_followed(
    client_of: Callable[..., FlaskClient], linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_OPEN_FLAGS", published._OPEN_FLAGS & ~os.O_NOFOLLOW)
    assert follows(client_of(), "link.txt")


def test_without_the_rules_of_names_a_linked_parent_is_followed(
    client_of: Callable[..., FlaskClient], linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_problem", lambda _name: None)
    client = client_of()
    assert follows(client, "folder%2foutside.txt")
    assert writes_through(client, linked)
