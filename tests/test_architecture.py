"""The documents for contributors name only what exists."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fileservice"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
README = (ROOT / "README.md").read_text()
_MAX_GLOSSARY = 25
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def named_paths(document: str) -> set[str]:
    """Return the paths in backquotes that a document names, without addresses of the service."""
    quoted = re.findall(r"`([\w.-]+(?:/[\w.-]*)*)`", document)
    return {
        text
        for text in quoted
        if text.endswith((".py", "/")) or text.startswith(("docs/", "web/", "upload/", "storage/"))
    }


def picture() -> str:
    """Return the source of the Mermaid picture of the packages."""
    (source,) = re.findall(r"```mermaid\n(.+?)```", ARCHITECTURE, re.DOTALL)
    return source


def boxes() -> set[str]:
    """Return the first line of each box in the picture: the path of a package or module."""
    return set(re.findall(r'\["([\w./]+)<br>', picture()))


def test_every_path_in_the_architecture_exists() -> None:
    paths = named_paths(ARCHITECTURE)
    assert [p for p in paths if not (PACKAGE / p).exists() and not (ROOT / p).exists()] == []


def test_every_path_in_the_contributing_guide_exists() -> None:
    assert [path for path in named_paths(CONTRIBUTING) if not (ROOT / path).exists()] == []


def test_path_search_finds_the_paths() -> None:
    assert {"app.py", "web/routes/uploads.py"} <= named_paths(ARCHITECTURE)
    assert {"fileservice/app.py", "fileservice/upload/inspection/"} <= named_paths(CONTRIBUTING)


def test_every_box_of_the_picture_is_a_package_or_module() -> None:
    assert boxes()
    for path in boxes():
        assert (PACKAGE / path / "__init__.py").exists() or (PACKAGE / path).is_file()


def test_every_package_is_in_the_picture() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= {box.partition("/")[0] for box in boxes()}


def test_every_arrow_joins_two_boxes_of_the_picture() -> None:
    defined = set(re.findall(r"(\w+)(?:\[|\()", picture()))
    for line in picture().splitlines()[1:]:
        ends = re.sub(r"\[.*?\]|\(.*?\)|\|.*?\|", " ", line).replace("-.->", "-->").split("-->")
        assert {end.strip().strip(")]") for end in ends} <= defined


def test_glossary_is_short_and_sorted() -> None:
    glossary = ARCHITECTURE.partition("## Glossary")[2]
    words = re.findall(r"^\| ([a-z ]+) \| .+ \|$", glossary, re.MULTILINE)[1:]
    assert 0 < len(words) <= _MAX_GLOSSARY
    assert words == sorted(words)


def test_every_layer_is_in_the_rules() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        contract["layers"]
        for contract in contracts["contracts"]
        if contract["name"] == "Arrows point one way"
    )
    rules = ARCHITECTURE.partition("## The rules of the layers")[2]
    for module in re.findall(r"fileservice\.(\w+)", " ".join(layers)):
        assert f"`{module}`" in rules or f"`{module}.py`" in rules


@pytest.mark.parametrize(
    "document", [README, CONTRIBUTING, ARCHITECTURE], ids=["readme", "contributing", "architecture"]
)
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", document, re.MULTILINE))
    assert named
    assert named <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text()), target


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
