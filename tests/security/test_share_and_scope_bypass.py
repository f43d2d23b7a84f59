"""A token or a link that reaches what it was not made for.

See also tests/web/test_access_table.py, tests/http/test_access_attacks.py,
tests/http/test_link_downloads.py and tests/web/routes/test_links.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.access import principals
from fileservice.web import link_transfers
from tests.support.access import EditedAccessFile
from tests.web.application import TEXT, published

OTHERS = "theirs-secret.txt"
SPELLINGS = [
    OTHERS,
    f"ci-%2f..%2f{OTHERS}",
    f"ci-/../{OTHERS}",
    "%74heirs-secret.txt",
    f"ci-%00{OTHERS}",
]


@pytest.fixture
def credentials(tmp_path: Path) -> dict[str, dict[str, str]]:
    access = EditedAccessFile(tmp_path / "access.toml")
    return {
        "ci": access.set("ci", "list,read,write,delete,share", "ci-"),
        "owner": access.set("owner", "list,read,write,delete,share"),
    }


@pytest.fixture
def client(
    client_of: Callable[..., FlaskClient], credentials: dict[str, dict[str, str]], tmp_path: Path
) -> FlaskClient:
    client = client_of(ANONYMOUS="none", ACCESS_FILE=str(tmp_path / "access.toml"))
    for name in (OTHERS, "shared.txt"):
        assert (
            client.put(f"/upload/{name}", data=TEXT, headers=credentials["owner"]).status_code
            == 201
        )
    return client


def leaves_its_prefix(client: FlaskClient, fields: dict[str, str], root: Path) -> bool:
    reached = [client.get(f"/download/{name}", headers=fields) for name in SPELLINGS]
    reached += [client.get(f"/archive.zip?name={name}", headers=fields) for name in SPELLINGS]
    reached.append(client.post("/links", json={"name": OTHERS}, headers=fields))
    reached.append(client.delete(f"/download/{OTHERS}", headers=fields))
    client.put("/upload/new.txt", data=TEXT, headers=fields)
    return (
        any(answer.status_code < 300 for answer in reached)
        or published(root) != ["shared.txt", OTHERS]
        or OTHERS in client.get("/download", headers=fields).text
    )


def test_a_token_stays_within_its_prefix(
    client: FlaskClient, credentials: dict[str, dict[str, str]], root: Path
) -> None:
    assert not leaves_its_prefix(client, credentials["ci"], root)


def test_without_the_comparison_a_token_leaves_its_prefix(
    client: FlaskClient,
    credentials: dict[str, dict[str, str]],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(principals.Principal, "covers", lambda _self, _name: True)
    assert leaves_its_prefix(client, credentials["ci"], root)


def follows_the_name(client: FlaskClient, owner: dict[str, str]) -> bool:
    """Replace the file of a link; return whether the link gives the other file."""
    made = client.post("/links", json={"name": "shared.txt"}, headers=owner)
    path = made.json["url"].removeprefix("http://localhost")
    assert client.get(f"{path}/shared.txt").data == TEXT
    client.delete("/download/shared.txt", headers=owner)
    client.put("/upload/shared.txt", data=b"of somebody else\n", headers=owner)
    return client.get(f"{path}/shared.txt").data == b"of somebody else\n"


def test_a_link_does_not_follow_its_name(
    client: FlaskClient, credentials: dict[str, dict[str, str]]
) -> None:
    assert not follows_the_name(client, credentials["owner"])


def test_without_the_comparison_of_versions_a_link_follows_its_name(
    client: FlaskClient,
    credentials: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_transfers, "_same_file", lambda _link, file: file)
    assert follows_the_name(client, credentials["owner"])


def test_the_secret_of_a_link_is_for_its_file_alone(
    client: FlaskClient, credentials: dict[str, dict[str, str]]
) -> None:
    made = client.post("/links", json={"name": "shared.txt"}, headers=credentials["owner"])
    secret = made.json["url"].rpartition("/")[2]
    bearer = {"Authorization": f"Bearer {secret}"}
    for path in (f"/s/{secret}/{OTHERS}", f"/s/{secret}/..%2f{OTHERS}"):
        assert client.get(path).status_code in (403, 404)
    archives = [
        f"/archive.zip?name={name}" for name in (OTHERS, "shared.txt")
    ]  # uses are not counted
    for path in (f"/download/{OTHERS}", "/download", "/links", *archives):
        assert client.get(path, headers=bearer).status_code in (401, 403)
    assert OTHERS not in client.get("/upload", headers=bearer).text
    assert client.put("/upload/new.txt", data=TEXT, headers=bearer).status_code in (401, 403)
