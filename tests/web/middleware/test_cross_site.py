"""Which requests come from pages that may not change anything here."""

import pytest

from fileservice.web.middleware.cross_site import is_foreign

OWN, OTHER = "http://files.example:8000", "https://evil.example"


def foreign(
    method: str = "POST",
    origins: tuple[str, ...] = (),
    public_url: str | None = None,
    **fields: str,
) -> bool:
    environ = {"REQUEST_METHOD": method, "HTTP_HOST": "files.example:8000"}
    given = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    return is_foreign(environ | given, origins, public_url)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MADEUP"])
@pytest.mark.parametrize(
    "fields",
    [
        {"sec_fetch_site": "cross-site", "origin": OTHER},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "origin": "http://www.example"},
        {"sec_fetch_site": "cross-site", "origin": OWN},
        {"sec_fetch_site": "", "origin": OWN},
        {"sec_fetch_site": "new-value"},
        {"origin": OTHER},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://files.example"},
        {"origin": "http://files.example:8001"},
        {"origin": "http://files.example:8000.evil.example"},
        {"origin": "http://[files.example:8000"},
        {"origin": "http://a@files.example:8000"},
        {"origin": "files.example:8000"},
    ],
    ids=str,
)
def test_a_page_of_another_site_changes_nothing(method: str, fields: dict[str, str]) -> None:
    assert foreign(method, **fields)
    assert foreign(method, ("https://app.example",), **fields)
    assert not foreign(method, ("*",), **fields)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    assert not foreign(method, sec_fetch_site="cross-site", origin=OTHER)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sec_fetch_site": "same-origin", "origin": OWN},
        {"sec_fetch_site": "same-origin", "origin": "https://seen.example"},
        {"sec_fetch_site": "none"},
        {"origin": OWN},
        {"origin": "https://files.example:8000"},
        {"origin": "http://FILES.example:8000"},
        {"origin": "https://files.example", "host": "files.example"},
        {"origin": "https://files.example", "host": "files.example:443"},
        {"origin": "http://files.example", "host": "Files.Example:80"},
        {"origin": "http://[::1]:8000", "host": "[::1]:8000"},
    ],
    ids=str,
)
def test_pages_of_its_own_and_programs_may(fields: dict[str, str]) -> None:
    assert not foreign(**fields)


@pytest.mark.parametrize(
    "public_url", ["https://seen.example", "https://Seen.example:443/files", "http://seen.example"]
)
def test_the_public_address_is_its_own(public_url: str) -> None:
    assert not foreign(public_url=public_url, origin="https://seen.example")
    assert not foreign(public_url=public_url, origin=OWN)
    assert foreign(public_url=public_url, origin=OTHER)
    assert foreign(public_url=public_url, origin="https://seen.example:8443")


@pytest.mark.parametrize("fields", [{}, {"sec_fetch_site": "cross-site"}])
def test_an_origin_that_the_operator_names_may(fields: dict[str, str]) -> None:
    origins = ("https://app.example",)
    assert not foreign(origins=origins, origin="https://app.example", **fields)
    assert foreign(origins=origins, origin="https://app.example.evil.example", **fields)
    assert foreign(origins=origins, origin="http://app.example", **fields)
