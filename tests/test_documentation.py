"""The documentation describes every setting, error and route, and no others."""

import re
import tomllib
from pathlib import Path

import pytest

from fileservice.app import create_app
from fileservice.settings import PREFIX, VARIABLES, Settings
from fileservice.web.problems import TABLE
from tests.support.calls import CALLS

ROOT = Path(__file__).parent.parent
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text()
CONTRACT = (ROOT / "docs" / "http.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
DEPENDENCIES = ROOT / "docs" / "decisions" / "0016-dependencies.md"
SETTINGS = {
    name: (default, meaning)
    for name, default, meaning in re.findall(
        rf"^\| `{PREFIX}(\w+)` \| (.+?) \| (.+) \|$", SETTINGS_PAGE, re.MULTILINE
    )
}
"""The settings in the table of their page: name → default and meaning."""


def test_settings_page_describes_exactly_the_existing_settings() -> None:
    assert set(SETTINGS) == set(VARIABLES)
    assert SETTINGS_PAGE.count(f"| `{PREFIX}") == len(VARIABLES)


def test_settings_page_names_the_file_of_every_secret() -> None:
    for name, variable in VARIABLES.items():
        assert (f"`{PREFIX}{name}_FILE`" in SETTINGS_PAGE) == variable.is_secret


@pytest.mark.parametrize("name", VARIABLES)
def test_settings_page_gives_the_default_of_a_setting(name: str) -> None:
    default = VARIABLES[name].default
    documented, _ = SETTINGS[name]
    if name == "ALLOWED_EXTENSIONS":
        assert f"Allowed by default: {default.replace(',', ', ')}." in " ".join(
            SETTINGS_PAGE.split()
        )
    elif default:
        assert documented == f"`{default}`"
    else:
        assert "`" not in documented, "the page gives a value, but the setting has no default"


def test_contract_describes_exactly_the_existing_errors_with_their_status() -> None:
    documented = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (`.+?`) \|", CONTRACT, re.MULTILINE)
        for code in re.findall(r"`([a-z-]+)`", codes)
    }
    assert documented == {(row.status, row.code) for row in TABLE}


def test_contract_describes_every_route(tmp_path: Path) -> None:
    app = create_app(Settings.from_environ({f"{PREFIX}STORE_URL": str(tmp_path)}))
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<\w+:(\w+)>", r"<\1>", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            assert f"`{method} {path}`" in CONTRACT


def test_contract_says_what_every_call_needs() -> None:
    documented = {}
    for calls, needs in re.findall(r"^\| (`[A-Z]+ /[^|]*) \|([^|]*)\|", CONTRACT, re.MULTILINE):
        for method, path in re.findall(r"`([A-Z]+) (/\S*)`", calls):
            documented[method, path] = frozenset(re.findall(r"\w+", needs))
    expected = {
        (call.method, re.sub(r"<\w+:(\w+)>", r"<\1>", call.rule)): call.needs
        for call in CALLS.values()
        if call.declares is None  # otherwise it needs more for a reason that the page explains
    }
    for call in documented.keys() | expected.keys():
        method, path = call
        if method == "OPTIONS":
            assert not documented[call]
        elif call in documented or method != "HEAD":
            assert documented[call] == expected.get(call, expected.get(("GET", path))), call


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    dependencies = project["dependencies"] + extras["fast"] + extras["otel"]
    names = {re.split(r"[^\w-]", dependency)[0] for dependency in dependencies}
    (table,) = re.findall(
        r"^\| package \|.*\n((?:\|.*\n)+)", DEPENDENCIES.read_text(), re.MULTILINE
    )
    documented = re.findall(r"[\w-]+", " ".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)))
    assert names <= set(documented)


def test_decisions_have_numbers_of_their_own_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in DEPENDENCIES.parent.glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_operating_names_the_first_segments_of_all_routes(tmp_path: Path) -> None:
    app = create_app(Settings.from_environ({f"{PREFIX}STORE_URL": str(tmp_path)}))
    segments = {f"/{rule.rule.split('/')[1]}" for rule in app.url_map.iter_rules()} - {"/"}
    own_paths = re.search(r"one of the service's own paths\s+\((.+?)\)", OPERATING, re.DOTALL)
    assert own_paths
    assert set(re.findall("`(.+?)`", own_paths[1])) == segments


SECURITY = (ROOT / "docs" / "security.md").read_text()
REQUIREMENTS = {
    *("5.1.1", "5.2.1", "5.2.2", "5.2.3", "5.2.4", "5.2.5", "5.2.6"),
    *("5.3.1", "5.3.2", "5.3.3", "5.4.1", "5.4.2", "5.4.3"),
}
"""Those of chapter V5 of OWASP ASVS 5.0."""


def test_security_page_has_every_requirement_with_a_test() -> None:
    rows = re.findall(
        r"^\| (5\.\d\.\d) .+ \| ([123]) \| .+ \| (`tests/.+::.+`) \|$", SECURITY, re.MULTILINE
    )
    assert sorted(number for number, *_ in rows) == sorted(REQUIREMENTS)


def test_security_page_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", SECURITY)
    assert len(named) >= len(REQUIREMENTS)
    for path, name in named:
        assert re.search(rf"^ *def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_security_page_names_every_class_of_attack() -> None:
    documented = re.findall(r"^\| .+ \| `(test_\w+\.py)` \|$", SECURITY, re.MULTILINE)
    modules = (ROOT / "tests" / "security").glob("test_*.py")
    assert sorted(documented) == sorted(path.name for path in modules)


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_named_in_a_document_exist(document: Path) -> None:
    folders = "fileservice|tests|docs|loadtest|cluster|deploy|website"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
