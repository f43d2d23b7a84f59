"""Every route, asked by a page of another site: generated from the routes themselves."""

from base64 import b64encode
from itertools import product
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.access.rules import SECRET, token
from tests.support.rows import every_row
from tests.web.application import UnreadableBody, application, paths, published

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
APP, EVIL = "https://app.example", "https://evil.example"
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": EVIL},
    {"Origin": EVIL},
    {"Origin": "null"},
]
ORIGIN_OF_LINK_PAGES = {"Origin": "null"}
"""What a page of a link, whose policy is to tell nobody its address, sends over plain HTTP. There
its secret is in the address of the request, which another site does not know."""
CREDENTIALS = {
    "nobody": {},
    "a token": {"Authorization": f"Bearer {SECRET}"},
    "a password": {"Authorization": f"Basic {b64encode(f'x:{SECRET}'.encode()).decode()}"},
    "a wrong token": {"Authorization": "Bearer wrong"},
    "a person whom a proxy names": {"X-Remote-User": "ada"},
    "an invalid name from a proxy": {"X-Remote-User": "ada,bob"},
    "a session": {"Cookie": "session=wrong"},
}


class Answer:
    """What the application answered to one request whose body nobody may read."""

    def __init__(self, app: Flask, method: str, path: str, fields: dict[str, str]) -> None:
        headers = {"Tus-Resumable": "1.0.0", "Content-Length": "9"} | fields
        environ = EnvironBuilder(path=path, method=method, headers=headers).get_environ()
        environ |= {"wsgi.input": UnreadableBody(), "REMOTE_ADDR": "127.0.0.1"}
        body, status, self.headers = run_wsgi_app(app, environ, buffered=True)
        self.status = int(status.split()[0])
        self.body = b"".join(body)


def refusing(app: Flask, fields: dict[str, str]) -> list[str]:
    """The paths that must refuse what a page of another site sends with these fields."""
    spares_links = fields == ORIGIN_OF_LINK_PAGES
    return [path for path in paths(app) if not (spares_links and path.startswith("/s/"))]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foreign")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings with which all of CREDENTIALS that are right allow everything."""
    rules = tmp_path_factory.mktemp("rules") / "access.toml"
    scopes = '["list", "read", "write", "delete"]'
    rules.write_text(f"{token(scopes=scopes)}\n[users.ada]\nscopes = {scopes}\n")
    return {
        "ACCESS_FILE": str(rules),
        "TRUSTED_PROXIES": "127.0.0.1",
        "IDENTITY_HEADER": "X-Remote-User",
    }


@pytest.fixture(scope="module")
def app(root: Path, settings: dict[str, str]) -> Flask:
    return application(root, CORS_ORIGINS=APP, **settings)


@every_row("who", ["a token", "a password", "a person whom a proxy names"])
def test_the_credentials_of_these_tests_allow_something(
    root: Path, settings: dict[str, str], who: str
) -> None:
    app = application(root, ANONYMOUS="none", **settings)
    assert Answer(app, "GET", "/download", CREDENTIALS[who]).status == 200
    assert Answer(app, "GET", "/download", CREDENTIALS["nobody"]).status == 401


EDGES = [(fields, who) for fields in FOREIGN for who in CREDENTIALS
         if fields is FOREIGN[0] or who == "nobody"]  # fmt: skip
OTHERS = [pair for pair in product(FOREIGN, CREDENTIALS) if pair not in EDGES]


@pytest.mark.parametrize("pairs", [EDGES, pytest.param(OTHERS, marks=pytest.mark.thorough)])
def test_a_page_of_another_site_is_refused_by_every_route_whoever_has_opened_it(
    app: Flask, root: Path, pairs: list[tuple[dict[str, str], str]]
) -> None:
    (root / "kept.txt").write_bytes(b"text\n")
    for fields, who in pairs:
        for path, method in product(refusing(app, fields), CHANGING):
            answer = Answer(app, method, path, fields | CREDENTIALS[who])
            request = method, path, fields, who
            assert (answer.status, b'"cross-site"' in answer.body) == (403, True), request
            assert "Access-Control-Allow-Origin" not in answer.headers, request
    assert published(root) == ["kept.txt"]


@every_row("fields", FOREIGN)
def test_where_all_origins_are_allowed_every_route_refuses_what_the_browser_added(
    root: Path, settings: dict[str, str], fields: dict[str, str]
) -> None:
    app = application(root, CORS_ORIGINS="*", **settings)
    unasked = [
        CREDENTIALS[who] for who in ("a session", "a password", "a person whom a proxy names")
    ]
    for path in refusing(app, fields):
        for method in CHANGING:
            for added in unasked:
                answer = Answer(app, method, path, fields | added)
                assert (answer.status, b'"cross-site"' in answer.body) == (403, True), (
                    method,
                    path,
                )


@every_row("origins", [APP, "*"])
def test_a_preflight_of_an_allowed_origin_needs_no_credentials_on_any_route(
    root: Path, origins: str
) -> None:
    app = application(root, CORS_ORIGINS=origins, ANONYMOUS="none")
    for path, methods in paths(app).items():
        for method in methods:
            preflight = {
                "Origin": APP,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization",
            }
            answer = Answer(app, "OPTIONS", path, preflight)
            assert answer.status in (200, 204), (method, path)
            assert answer.headers["Access-Control-Allow-Origin"] == origins
            assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
            assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
            assert "Access-Control-Allow-Credentials" not in answer.headers


@every_row("origins", [APP, "*"])
@every_row("fields", [{}, {"Authorization": "Bearer wrong"}])
def test_a_script_of_an_allowed_origin_can_read_why_it_is_refused(
    root: Path, origins: str, fields: dict[str, str]
) -> None:
    app = application(root, CORS_ORIGINS=origins, ANONYMOUS="none")
    refused = 0
    for path, methods in paths(app).items():
        for method in methods - {"OPTIONS"}:
            answer = Answer(app, method, path, {"Origin": APP} | fields)
            assert answer.headers["Access-Control-Allow-Origin"] == origins, (method, path)
            assert "Origin" in answer.headers.getlist("Vary")
            assert "Access-Control-Allow-Credentials" not in answer.headers
            if answer.status == 401:
                refused += 1
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
                assert "WWW-Authenticate" in exposed
    assert refused > 10


def test_a_script_of_an_allowed_origin_can_read_that_it_lacks_a_scope(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "access.toml").write_text(token(scopes='["list"]'))
    app = application(root, CORS_ORIGINS=APP, ACCESS_FILE=str(tmp_path / "access.toml"))
    for origin, code in ((APP, b'"forbidden"'), (EVIL, b'"cross-site"')):
        fields = {"Origin": origin} | CREDENTIALS["a token"]
        answer = Answer(app, "PUT", "/upload/new.txt", fields)
        assert answer.status == 403
        assert code in answer.body
        assert ("Access-Control-Allow-Origin" in answer.headers) == (origin == APP)
