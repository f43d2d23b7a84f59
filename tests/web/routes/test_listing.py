"""Other orders than by name are for stores that can be looked through."""

from pathlib import Path

import pytest

from fileservice.app import create_app
from fileservice.settings import PREFIX, Settings
from fileservice.web.routes import listing


def test_more_files_than_can_be_sorted_are_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_SORTED", 3)
    client = create_app(Settings.from_environ({f"{PREFIX}STORE_URL": str(tmp_path)})).test_client()
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert client.get("/download?sort=-size&limit=1").status_code == 200
    (tmp_path / "d.txt").write_bytes(b"x")
    refused = client.get("/download?sort=-size&limit=1")
    assert refused.status_code == 400
    assert "narrow them" in refused.json["detail"]
    assert client.get("/download?sort=-size&limit=1&prefix=d").status_code == 200
    assert client.get("/download?limit=1").status_code == 200
