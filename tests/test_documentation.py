"""What the service has is documented, and what is documented it has."""

import re
from pathlib import Path

import pytest

from fileservice.app import create_app
from fileservice.settings import PREFIX, VARIABLES, Settings
from fileservice.web.problems import TABLE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRACT = (ROOT / "docs" / "http.md").read_text()


def test_every_setting_is_in_the_readme_and_none_besides() -> None:
    documented = set(re.findall(rf"^\| `{PREFIX}(\w+)`", README, re.MULTILINE))
    assert documented == set(VARIABLES)


@pytest.mark.parametrize("name", [name for name in VARIABLES if VARIABLES[name].default])
def test_the_readme_tells_each_default(name: str) -> None:
    (default,) = re.findall(rf"^\| `{PREFIX}{name}` \| `?(.*?)`? \|", README, re.MULTILINE)
    if name == "ALLOWED_EXTENSIONS":
        assert VARIABLES[name].default.replace(",", ", ") in " ".join(README.split())
    else:
        assert default == VARIABLES[name].default


def test_every_error_code_is_in_the_contract_with_its_status_and_none_besides() -> None:
    documented = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (`.+?`) \|", CONTRACT, re.MULTILINE)
        for code in re.findall(r"`([a-z-]+)`", codes)
    }
    assert documented == {(row.status, row.code) for row in TABLE}


def test_every_route_is_in_the_contract(tmp_path: Path) -> None:
    app = create_app(Settings.from_environ({f"{PREFIX}STORE_URL": str(tmp_path)}))
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<\w+:(\w+)>", r"<\1>", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            assert f"`{method} {path}`" in CONTRACT
