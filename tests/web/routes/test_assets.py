"""GET /assets/…: the style sheet and the scripts."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.web.routes import assets
from tests.support.rows import every_row
from tests.web.application import application

STATIC = Path(assets.__file__).parent.parent / "static"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return application(tmp_path_factory.mktemp("assets")).test_client()


@pytest.fixture(scope="module")
def directory(client: FlaskClient) -> str:
    """The path of the assets, as the page has it."""
    (path,) = re.findall(r'src="(/assets/[0-9a-f]{16}/)page\.js"', client.get("/upload").text)
    return str(path)


def is_for_readers_of_the_source(line: str) -> bool:
    return not line or line.startswith("//") or (line[:2], line[-2:]) == ("/*", "*/")


def without_comment(line: str) -> str:
    return re.sub(r" +(// .*|/\* .* \*/)$", "", line)


@every_row("path", sorted(STATIC.iterdir()))
def test_every_asset_is_served_and_kept_for_ever(
    client: FlaskClient, directory: str, path: Path
) -> None:
    response = client.get(directory + path.name)
    lines = [line.strip() for line in path.read_text().splitlines()]
    kept = [line for line in lines if not is_for_readers_of_the_source(line)]
    assert response.status_code == 200
    assert [without_comment(line) for line in response.text.splitlines()] == [
        without_comment(line) for line in kept
    ]
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_comments_and_indentation_are_not_delivered_and_strings_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_DIRECTORY", tmp_path / "static")
    (tmp_path / "static").mkdir()
    source = "// why\n\nif (x) { // because\n  y = 'a // b' // c'\n  z = 'http://a' // d\n}\n"
    (tmp_path / "static" / "page.js").write_text(source)
    for name in ("page.css", "uploads.css", "list.css", "icon.svg"):
        (tmp_path / "static" / name).write_text("a { b: c; } /* d */\n  /* e */\n")
    client = application(tmp_path / "store").test_client()
    (directory,) = re.findall(r'src="(/assets/[0-9a-f]{16}/)page\.js"', client.get("/upload").text)
    script = client.get(f"{directory}page.js").text
    assert script == "if (x) {\ny = 'a // b' // c'\nz = 'http://a'\n}\n"
    assert client.get(f"{directory}page.css").text == "a { b: c; }\n"


def test_no_script_has_a_string_of_several_lines_whose_indentation_would_be_lost() -> None:
    for script in STATIC.glob("*.js"):
        code = re.sub(r"^ *//.*", "", script.read_text(), flags=re.MULTILINE)
        assert [line for line in code.splitlines() if line.count("`") % 2] == []


@every_row(
    ("name", "media_type"),
    [("page.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_an_asset_has_its_media_type(
    client: FlaskClient, directory: str, name: str, media_type: str
) -> None:
    assert client.get(directory + name).mimetype == media_type


def test_an_asset_is_revalidated_by_its_entity_tag(client: FlaskClient, directory: str) -> None:
    etag = client.get(directory + "page.js").headers["ETag"]
    response = client.get(directory + "page.js", headers={"If-None-Match": etag})
    assert response.status_code == 304


@every_row(
    "path", ["/assets/0123456789abcdef/page.js", "/assets/page.js", "{}nothing.js", "{}../app.py"]
)
def test_other_paths_are_not_found(client: FlaskClient, directory: str, path: str) -> None:
    assert client.get(path.format(directory)).status_code == 404


def test_scripts_import_each_other_by_relative_paths() -> None:
    for script in STATIC.glob("*.js"):
        for imported in re.findall(r"from '(.+)'", script.read_text()):
            assert re.fullmatch(r"\./\w+\.js", imported)
            assert (STATIC / imported).is_file()


def test_the_path_changes_with_the_content_of_any_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = set()
    for content in ("first", "other"):
        monkeypatch.setattr(assets, "_DIRECTORY", tmp_path / content)
        (tmp_path / content).mkdir()
        (tmp_path / content / "page.js").write_text(content)
        page = application(tmp_path / "store").test_client().get("/upload").text
        paths |= set(re.findall(r"/assets/[0-9a-f]{16}/", page))
    assert len(paths) == 2
