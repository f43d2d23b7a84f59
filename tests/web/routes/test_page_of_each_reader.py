"""GET /upload: the page shows what its reader may do, and no more."""

import io
import itertools
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.rows import every_row
from tests.web.application import TEXT, application

SCOPES = ("list", "read", "write", "delete")
SCOPE_SETS = [
    frozenset(chosen) for size in range(1, 5) for chosen in itertools.combinations(SCOPES, size)
]


def reader(root: Path, scopes: frozenset[str]) -> FlaskClient:
    """A client of someone with these scopes, of a store with one picture."""
    (root / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return application(root, ANONYMOUS=",".join(scopes)).test_client()


def of(scopes: frozenset[str]) -> str:
    return "+".join(sorted(scopes))


@every_row("scopes", SCOPE_SETS)
def test_a_part_of_the_page_is_there_exactly_if_its_reader_may_use_it(
    tmp_path: Path, scopes: frozenset[str]
) -> None:
    text = reader(tmp_path, scopes).get("/upload").text
    may_list, may_write = "list" in scopes, "write" in scopes
    may_read, may_delete = may_list and "read" in scopes, may_list and "delete" in scopes
    parts = {
        "secret": may_list,
        '<section id="files"': may_list,
        '<form id="search"': may_list,
        "<table": may_list,
        'data-extension="PNG"': may_list,
        'href="/download/': may_read,
        'data-do="preview"': may_read,
        'data-do="copy"': may_read,
        '<dialog id="preview"': may_read,
        'data-do="delete"': may_delete,
        'data-do="delete-selected"': may_delete,
        'id="bar"': may_read or may_delete,
        'type="checkbox"': may_read or may_delete,
        "/download/secret.png": may_read or may_delete,
        'class="actions"><span': may_read or may_delete,
        '<form id="upload"': may_write,
        '<input type="file"': may_write,
        '<ul id="transfers"': may_write,
        '<template id="transfer"': may_write,
        "You may neither list nor upload": not may_list and not may_write,
        "You may download files": scopes in ({"read"}, {"read", "delete"}),
    }
    assert {part: part in text for part in parts} == parts


def test_someone_who_may_only_write_sees_the_form_and_nothing_else(tmp_path: Path) -> None:
    text = reader(tmp_path, frozenset({"write"})).get("/upload?q=secret&sort=nothing").text
    main = text.partition("<main>")[2].partition("</main>")[0]
    assert main.count("<form") == main.count("<section") == 1
    assert "<dialog" not in main
    assert "<a " not in main
    assert 'data-may="write"' in main


def test_an_empty_store_invites_only_those_to_upload_who_may(tmp_path: Path) -> None:
    for scopes, is_invited in (("list", False), ("list,read,delete", False), ("list,write", True)):
        text = application(tmp_path, ANONYMOUS=scopes).test_client().get("/upload").text
        assert "Nothing is stored yet." in text
        assert ("curl -T" in text) is is_invited


@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param(scopes, marks=[] if len(scopes) in (1, 4) else pytest.mark.thorough)
        for scopes in SCOPE_SETS
    ],
    ids=of,
)
def test_a_cookie_reveals_nothing_about_a_file_to_those_who_may_not_read_it(
    tmp_path: Path, scopes: frozenset[str]
) -> None:
    client = reader(tmp_path, scopes)
    shown = {}
    for name in ("secret.png", "hidden.png"):
        client.set_cookie("stored", name, path="/upload")
        shown[name] = notice(client.get("/upload").text)
    if "read" in scopes:
        assert "8 bytes" in shown["secret.png"]
        assert shown["hidden.png"] == ""
    else:
        assert shown == {name: f"Stored: <bdi>{name}</bdi>" for name in shown}


def notice(text: str) -> str:
    """The message that a file is stored; empty if there is none."""
    return text.partition('<p class="notice good" role="status">')[2].partition("</p>")[0]


def test_someone_without_scripts_who_may_only_write_is_shown_that_the_file_is_stored(
    tmp_path: Path,
) -> None:
    client = reader(tmp_path, frozenset({"write"}))
    stored = client.post(
        "/upload",
        data={"file": (io.BytesIO(TEXT), "mine.txt")},
        headers={"Accept": "text/html"},
    )
    assert (stored.status_code, stored.headers["Location"]) == (303, "/upload")
    page = client.get("/upload").text
    assert "Stored: <bdi>mine.txt</bdi>" in page
    assert "/download/" not in page
    assert "Stored: " not in client.get("/upload").text
