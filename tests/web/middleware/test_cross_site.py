"""Which requests come from pages of other sites and would change something."""

from fileservice.web.middleware.cross_site import is_foreign
from fileservice.web.origins import AllowedOrigins
from tests.support.rows import every_row

OWN, OTHER = "http://files.example:8000", "https://evil.example"


def is_refused(
    method: str = "POST",
    origins: tuple[str, ...] = (),
    public_url: str | None = None,
    **fields: str,
) -> bool:
    environ = {"REQUEST_METHOD": method, "HTTP_HOST": "files.example:8000"}
    sent = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    return is_foreign(environ | sent, AllowedOrigins(origins), public_url)


@every_row("method", ["POST", "PUT", "PATCH", "DELETE", "MADEUP"])
@every_row(
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
)
def test_a_change_from_a_page_of_another_site_is_refused_unless_all_origins_are_allowed(
    method: str, fields: dict[str, str]
) -> None:
    assert is_refused(method, **fields)
    assert is_refused(method, ("https://app.example",), **fields)
    assert not is_refused(method, ("*",), **fields)


@every_row("method", ["GET", "HEAD", "OPTIONS"])
def test_a_method_that_changes_nothing_is_allowed_from_any_page(method: str) -> None:
    assert not is_refused(method, sec_fetch_site="cross-site", origin=OTHER)


@every_row(
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
)
def test_pages_of_the_service_and_programs_may_change_something(fields: dict[str, str]) -> None:
    assert not is_refused(**fields)


@every_row(
    "public_url", ["https://seen.example", "https://Seen.example:443/files", "http://seen.example"]
)
def test_a_page_at_the_public_url_may_change_something(public_url: str) -> None:
    assert not is_refused(public_url=public_url, origin="https://seen.example")
    assert not is_refused(public_url=public_url, origin=OWN)
    assert is_refused(public_url=public_url, origin=OTHER)
    assert is_refused(public_url=public_url, origin="https://seen.example:8443")


@every_row("fields", [{}, {"sec_fetch_site": "cross-site"}])
def test_a_page_of_an_origin_that_the_operator_names_may_change_something(
    fields: dict[str, str],
) -> None:
    origins = ("https://app.example",)
    assert not is_refused(origins=origins, origin="https://app.example", **fields)
    assert is_refused(origins=origins, origin="https://app.example.evil.example", **fields)
    assert is_refused(origins=origins, origin="http://app.example", **fields)


@every_row(
    "credentials",
    [
        {"cookie": "session=a"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Basic YTpi", "cookie": "session=a"},
        {"authorization": "Negotiate YTpi"},
        {"authorization": ""},
    ],
)
def test_where_all_origins_are_allowed_none_may_use_what_the_browser_adds(
    credentials: dict[str, str],
) -> None:
    for fields in ({"origin": OTHER}, {"sec_fetch_site": "cross-site", "origin": "null"}):
        assert is_refused(origins=("*",), **fields, **credentials)
        assert is_refused(origins=("*", "https://app.example"), **fields, **credentials)
    named = ("*", "https://app.example")
    assert not is_refused(origins=named, origin="https://app.example", **credentials)
    assert not is_refused(origins=("*",), origin=OWN, **credentials)


def test_where_all_origins_are_allowed_a_page_may_use_a_token_of_its_own() -> None:
    assert not is_refused(origins=("*",), origin=OTHER, authorization="Bearer a")
    assert not is_refused(origins=("*",), origin=OTHER, authorization="bearer a", cookie="b=c")
