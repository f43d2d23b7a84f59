"""GET / and GET /upload."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.rows import every_row
from tests.web.application import TEXT


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"ALLOWED_EXTENSIONS": "txt,pdf"}


def store(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes(TEXT)


def test_the_root_redirects_to_the_page(client: FlaskClient) -> None:
    response = client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/upload")


def test_the_page_has_a_form_with_the_limits(client: FlaskClient) -> None:
    response = client.get("/upload")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert 'enctype="multipart/form-data"' in response.text
    assert 'data-max-size="5368709120"' in response.text
    assert 'accept=".txt,.pdf"' in response.text


def test_an_empty_store_shows_how_to_upload_from_a_terminal(client: FlaskClient) -> None:
    assert "curl -T sample.pdf http://localhost/upload/" in client.get("/upload").text


def test_the_page_lists_the_files_and_escapes_their_names(client: FlaskClient, root: Path) -> None:
    store(root, "a&b.txt", "<b>.txt")
    text = client.get("/upload").text
    assert "<bdi>a&amp;b.txt</bdi>" in text
    assert "<bdi>&lt;b&gt;.txt</bdi>" in text
    assert 'href="/download/a&amp;b.txt"' in text


def test_a_limit_makes_pages_that_link_to_each_other(client: FlaskClient, root: Path) -> None:
    store(root, "a.txt", "b.txt", "c.txt")
    first = client.get("/upload?limit=2").text
    assert "<bdi>b.txt</bdi>" in first
    assert "<bdi>c.txt</bdi>" not in first
    assert "Showing 1–2</p>" in first
    assert 'href="?limit=2&amp;after=b.txt&amp;start=2"' in first
    second = client.get("/upload?limit=2&after=b.txt&start=2").text
    assert "<bdi>c.txt</bdi>" in second
    assert "Showing 3–3 of 3</p>" in second
    assert "Next files" not in second
    assert "First files" in second
    assert 'href="?limit=2&amp;before=c.txt&amp;start=0"' in second
    third = client.get("/upload?limit=2&before=c.txt&start=0").text
    assert "<bdi>a.txt</bdi>" in third
    assert "<bdi>b.txt</bdi>" in third
    assert "Previous files" not in third


@every_row("start", ["-1", "x", "9" * 10, "٣"])
def test_a_position_that_makes_no_sense_is_ignored(
    client: FlaskClient, root: Path, start: str
) -> None:
    store(root, "a.txt")
    assert "Showing 1–1 of 1</p>" in client.get(f"/upload?after=Z&start={start}").text


@every_row(
    ("query", "links", "current"),
    [
        ("", {"name": "sort=-name", "size": "sort=-size", "modified": "sort=-modified"},
         "ascending"),
        ("?sort=size", {"name": "", "size": "sort=-size", "modified": "sort=-modified"},
         "ascending"),
        ("?sort=-size", {"name": "", "size": "sort=size", "modified": "sort=-modified"},
         "descending"),
    ],
)  # fmt: skip
def test_a_column_links_to_the_order_that_is_most_useful_next(
    client: FlaskClient, root: Path, query: str, links: dict[str, str], current: str
) -> None:
    store(root, "a.txt")
    text = client.get(f"/upload{query}").text
    for by, link in links.items():
        assert f'<a href="?{link}" data-key="sort-{by}">' in text
    assert text.count(f'aria-sort="{current}"') == 1


def test_a_search_without_a_match_shows_what_was_searched_for(
    client: FlaskClient, root: Path
) -> None:
    store(root, "a.txt")
    text = client.get("/upload?q=<x>").text
    assert "No file has “<bdi>&lt;x&gt;</bdi>” in its name." in text


def test_the_file_that_a_form_has_stored_is_announced_once(client: FlaskClient, root: Path) -> None:
    store(root, "a b.txt")
    client.set_cookie("stored", "a%20b.txt", path="/upload")
    assert 'Stored: <a href="/download/a%20b.txt">' in client.get("/upload").text
    assert "Stored: " not in client.get("/upload").text


@pytest.mark.parametrize("value", ["gone.txt", ".a", "%FF", "", "a%2Fb.txt"])
def test_a_cookie_that_names_no_file_is_ignored(client: FlaskClient, value: str) -> None:
    client.set_cookie("stored", value, path="/upload")
    response = client.get("/upload")
    assert response.status_code == 200
    assert "Stored: " not in response.text


@every_row(
    ("query", "status"),
    [
        ("resumableChunkNumber=1&resumableTotalChunks=1", 204),
        ("flowChunkNumber=1&flowTotalChunks=2", 400),
    ],
)
def test_an_uploader_that_tests_for_a_chunk_is_made_to_send_the_whole_file(
    client: FlaskClient, query: str, status: int
) -> None:
    assert client.get(f"/upload?{query}").status_code == status


@every_row("query", ["limit=0", "limit=x", "sort=type"])
def test_a_bad_query_is_reported_on_a_page(client: FlaskClient, query: str) -> None:
    response = client.get(f"/upload?{query}", headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (400, "text/html")
    assert "bad-request" in response.text
