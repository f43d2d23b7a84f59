"""GET /archive.zip: who may have which files in an archive."""

import io
import zipfile
from pathlib import Path

import pytest

from tests.support.access import EditedAccessFile
from tests.support.rows import every_row
from tests.web.application import application

NAMES = ("mine-a.txt", "mine-b.txt", "other.txt")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_bytes(b"text\n")
    return tmp_path


def names_in(data: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(data)).namelist()


@every_row("query", ["prefix=", "prefix=mine", "q=a"])
def test_a_search_needs_the_scope_list_as_well(root: Path, query: str) -> None:
    reader = application(root, ANONYMOUS="read").test_client()
    assert reader.get(f"/archive.zip?{query}").status_code == 401
    both = application(root, ANONYMOUS="list,read").test_client()
    assert both.get(f"/archive.zip?{query}").status_code == 200


def test_a_prefix_bounds_what_is_found_and_what_may_be_named(root: Path, tmp_path: Path) -> None:
    access = EditedAccessFile(tmp_path.with_name("access.toml"))
    headers = access.set("mine", "list,read", "mine-")
    client = application(root, ACCESS_FILE=str(access.path)).test_client()
    for query in ("prefix=", "q=.txt"):
        response = client.get(f"/archive.zip?{query}", headers=headers)
        assert names_in(response.data) == ["mine-a.txt", "mine-b.txt"]
    assert names_in(client.get("/archive.zip?prefix=other", headers=headers).data) == []
    for name in ("other.txt", "missing.txt"):  # whether it exists makes no difference
        response = client.get(f"/archive.zip?name=mine-a.txt&name={name}", headers=headers)
        assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")


def test_more_files_than_an_archive_can_have_are_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileservice.web.routes.archive.MAX_FILES", 2)
    client = application(root).test_client()
    for query in ("prefix=", "&".join(f"name={name}" for name in NAMES)):
        response = client.get(f"/archive.zip?{query}")
        assert response.status_code == 400
        assert "at most 2 files" in response.get_json()["detail"]
    assert client.get("/archive.zip?prefix=mine").status_code == 200
