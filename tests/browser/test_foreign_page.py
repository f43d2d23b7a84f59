"""A page of another site, open in a browser that can reach the service."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cluster.run import nginx as run_nginx
from tests.access.rules import SECRET, token
from tests.browser.conftest import REBOUND
from tests.support.ports import free_port
from tests.support.reverse_proxies import behind_sign_in
from tests.support.servers import LiveServer
from tests.support.tus import VERSION, named

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SEND = """
async ([url, options]) => {
  try {
    const response = await fetch(url, { ...options, mode: options.mode ?? 'cors' })
    return response.type === 'opaque' ? 'opaque' : response.status
  } catch (error) {
    return error.name
  }
}
"""
FORM = """
async ([url]) => {
  const body = new FormData()
  body.append('file', new File(['some text'], 'form.txt'))
  return (await fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body })).type
}
"""
TEXT = "some text"


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, *_: object) -> None:
        """In silence."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of a page whose site is another: localhost is not the site of 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(new_context: "Callable[..., BrowserContext]", elsewhere: str) -> "Page":
    page = new_context().new_page()
    page.goto(elsewhere)
    return page


def statuses(page: "Page") -> list[tuple[str, int]]:
    """Of every answer from here on: the method and the status."""
    seen: list[tuple[str, int]] = []
    page.on("response", lambda answer: seen.append((answer.request.method, answer.status)))
    return seen


class Visited:
    """The service as the browser reaches it, and a foreign page in the same browser.

    The browser or a proxy shows who its user is, or nobody needs to.
    """

    def __init__(self, url: str, server: LiveServer, page: "Page", headers: dict[str, str]) -> None:
        self.url = url
        self.server = server
        self.page = page
        with httpx.Client(base_url=url, headers=headers) as owner:
            assert owner.put("/upload/kept.txt", content=b"kept").status_code == 201
            fields = VERSION | named("tus.txt") | {"Upload-Length": "9"}
            self.tus: str = owner.post("/tus/", headers=fields).headers["Location"]
            begun = owner.put("/upload/draft.txt", headers={"Upload-Complete": "?0"}, content=b"")
            self.draft: str = begun.headers["Location"]
        self._headers = headers

    def send(self, method: str, path: str, **options: Any) -> Any:
        """Send it from the foreign page: the status, `opaque`, or the name of the error."""
        return self.page.evaluate(SEND, [self._at(path), {"method": method, **options}])

    def try_everything(self) -> list[Any]:
        """Try to change something in every way that a script has; return what each came to."""
        tus = VERSION | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        draft = {"Upload-Offset": "0", "Upload-Complete": "?1"}
        tries: list[tuple[str, str, dict[str, Any]]] = [
            ("PUT", "/upload/put.txt", {"body": TEXT}),
            ("POST", "/upload/post.txt", {"body": TEXT}),
            ("DELETE", "/download/kept.txt", {}),
            ("POST", "/tus/", {"headers": VERSION | named("a.txt") | {"Upload-Length": "9"}}),
            ("PATCH", self.tus, {"headers": tus, "body": TEXT}),
            ("DELETE", self.tus, {"headers": VERSION}),
            ("POST", self.tus, {"headers": VERSION | {"X-HTTP-Method-Override": "DELETE"}}),
            ("PUT", "/upload/new.txt", {"headers": {"Upload-Complete": "?0"}, "body": TEXT}),
            ("PATCH", self.draft, {"headers": draft, "body": TEXT}),
            ("DELETE", self.draft, {}),
        ]
        came_to = []
        for credentials in ("include", "omit"):
            for method, path, options in tries:
                came_to.append(self.send(method, path, **options, credentials=credentials))
        return came_to

    def try_what_needs_no_preflight(self) -> list[int]:
        """Do what a form, a script and a beacon may send anywhere; return the statuses."""
        seen = statuses(self.page)
        assert self.page.evaluate(FORM, [f"{self.url}/upload"]) == "opaque"
        text = {"headers": {"Content-Type": "text/plain"}, "body": TEXT, "mode": "no-cors"}
        assert self.send("POST", "/upload/a.txt", **text, credentials="include") == "opaque"
        with self.page.expect_response("**/upload/beacon.txt"):
            self.page.evaluate(
                "([url, text]) => navigator.sendBeacon(url, text)",
                [f"{self.url}/upload/beacon.txt", TEXT],
            )
        home = self.page.url
        for path, kind in (("/upload/b.txt", "text/plain"), ("/upload", "multipart/form-data")):
            self.page.set_content(
                f"<form method=post enctype={kind} action='{self.url}{path}'>"
                "<input type=file name=file></form>"
            )
            file = {"name": "c.txt", "mimeType": "text/plain", "buffer": TEXT.encode()}
            self.page.locator("input").set_input_files(file)
            with self.page.expect_navigation():
                self.page.evaluate("document.forms[0].submit()")
            self.page.goto(home)
        return [status for method, status in seen if method == "POST"]

    def assert_unchanged(self) -> None:
        """Nothing was stored or deleted, and the unfinished uploads are as they were."""
        assert self.server.published() == ["kept.txt"]
        with httpx.Client(headers=self._headers) as owner:
            for upload in (self.tus, self.draft):
                status = owner.head(upload, headers=VERSION)
                assert status.headers["Upload-Offset"] == "0"

    def _at(self, path: str) -> str:
        return path if path.startswith("http") else self.url + path


Visit = Callable[[str], Visited]


@pytest.fixture
def strangers(start_server: Callable[..., LiveServer], page: "Page") -> Visit:
    """Nobody needs credentials."""

    def visit(origins: str) -> Visited:
        server = start_server(CORS_ORIGINS=origins, WORKERS="1")
        return Visited(server.url, server, page, {})

    return visit


@pytest.fixture
def with_password(
    start_server: Callable[..., LiveServer],
    new_context: "Callable[..., BrowserContext]",
    elsewhere: str,
    tmp_path: Path,
) -> Visit:
    """The browser knows a password, which was typed into its dialog (Basic)."""

    def visit(origins: str) -> Visited:
        rules = tmp_path / "access.toml"
        rules.write_text(token(scopes='["list", "read", "write", "delete"]'))
        server = start_server(
            CORS_ORIGINS=origins, WORKERS="1", ANONYMOUS="none", ACCESS_FILE=str(rules)
        )
        page = new_context(http_credentials={"username": "x", "password": SECRET}).new_page()
        opened = page.goto(f"{server.url}/download")
        assert opened
        assert opened.status == 200
        page.goto(elsewhere)
        with page.expect_navigation() as listed:
            page.evaluate("url => { location.href = url }", f"{server.url}/download")
        assert listed.value.status == 200, "the browser does not send the password"
        page.goto(elsewhere)
        return Visited(server.url, server, page, {"Authorization": f"Bearer {SECRET}"})

    return visit


@pytest.fixture
def named_by_a_proxy(
    start_server: Callable[..., LiveServer], page: "Page", nginx: None, tmp_path: Path
) -> Iterator[Visit]:
    """A proxy knows people by their address, as Tailscale's does, and names them unasked."""
    with contextlib.ExitStack() as stack:

        def visit(origins: str) -> Visited:
            rules = tmp_path / "access.toml"
            rules.write_text("[users.ada]\nscopes = ['list', 'read', 'write', 'delete']\n")
            server = start_server(
                CORS_ORIGINS=origins,
                WORKERS="1",
                ANONYMOUS="none",
                ACCESS_FILE=str(rules),
                TRUSTED_PROXIES="127.0.0.1",
                IDENTITY_HEADER="X-Remote-User",
            )
            port = free_port()
            location = (
                f"proxy_pass {server.url}; proxy_set_header X-Remote-User ada;"
                " proxy_set_header Host $http_host;"
            )
            text = f"listen 127.0.0.1:{port}; location / {{ {location} }}"
            text = f"events {{}}\nhttp {{\nserver {{ {text} }}\n}}\n"
            stack.enter_context(run_nginx(tmp_path, port, text))
            return Visited(f"http://127.0.0.1:{port}", server, page, {})

        yield visit


def thorough(value: str) -> Any:
    return pytest.param(value, marks=pytest.mark.thorough)


@pytest.mark.parametrize(
    "who", ["strangers", thorough("with_password"), thorough("named_by_a_proxy")]
)
def test_a_page_of_another_site_changes_nothing_and_reads_nothing(
    request: pytest.FixtureRequest, who: str
) -> None:
    visited = request.getfixturevalue(who)("")

    assert set(visited.try_everything()) == {"TypeError"}
    assert visited.try_what_needs_no_preflight() == [403] * 5
    for credentials in ("include", "omit"):
        assert visited.send("GET", "/download", credentials=credentials) == "TypeError"
        assert visited.send("GET", "/download/kept.txt", credentials=credentials) == "TypeError"
    visited.assert_unchanged()


@pytest.mark.parametrize("origins", ["", thorough("*")])
def test_a_page_of_the_same_site_changes_nothing_with_the_cookies_that_it_makes_the_browser_send(
    start_server: Callable[..., LiveServer],
    new_context: "Callable[..., BrowserContext]",
    elsewhere: str,
    nginx: None,
    tmp_path: Path,
    origins: str,
) -> None:
    """A site has all ports of a host: SameSite=Lax keeps nothing from them."""
    rules = tmp_path / "access.toml"
    rules.write_text("[users.'ada@example']\nscopes = ['list', 'read', 'write', 'delete']\n")
    server = start_server(
        CORS_ORIGINS=origins,
        WORKERS="1",
        ANONYMOUS="none",
        ACCESS_FILE=str(rules),
        TRUSTED_PROXIES="127.0.0.1",
        IDENTITY_HEADER="X-Remote-User",
    )
    with behind_sign_in("oauth2-proxy", tmp_path, server) as url:
        context = new_context()
        cookie = {"name": "who", "value": "ada", "domain": "127.0.0.1", "path": "/"}
        context.add_cookies([cookie | {"sameSite": "Lax", "httpOnly": True}])  # type: ignore[list-item]
        page = context.new_page()
        page.goto(elsewhere.replace("localhost", "127.0.0.1"))
        with page.expect_response("**/download") as listed:
            page.evaluate(
                "url => fetch(url, { mode: 'no-cors', credentials: 'include' })", f"{url}/download"
            )
        assert listed.value.status == 200, "the browser does not send the cookie"
        visited = Visited(url, server, page, {"Cookie": "who=ada"})
        assert visited.try_what_needs_no_preflight() == [403] * 5
        assert set(visited.try_everything()) <= {"TypeError", 401}
        assert visited.send("GET", "/download", credentials="include") == "TypeError"
        visited.assert_unchanged()


@pytest.mark.parametrize("who", ["strangers", thorough("named_by_a_proxy")])
def test_a_page_of_an_origin_that_is_named_may_do_what_its_reader_may(
    request: pytest.FixtureRequest, elsewhere: str, who: str
) -> None:
    visited = request.getfixturevalue(who)(elsewhere)

    assert visited.send("GET", "/download") == 200
    assert visited.send("PUT", "/upload/put.txt", body=TEXT) == 201
    assert visited.send("DELETE", "/download/kept.txt") == 204
    create = VERSION | named("a.txt") | {"Upload-Length": "9"}
    assert visited.send("POST", "/tus/", headers=create) == 201
    assert visited.send("DELETE", visited.tus, headers=VERSION) == 204
    assert visited.page.evaluate(FORM, [f"{visited.url}/upload"]) == "opaque"
    assert visited.server.published() == ["form.txt", "put.txt"]
    # A browser shows no script an answer to a request with credentials, nor asks for it.
    assert visited.send("PUT", "/upload/b.txt", body=TEXT, credentials="include") == "TypeError"
    assert visited.send("GET", "/download", credentials="include") == "TypeError"


@pytest.mark.parametrize("origins", ["named", thorough("*")])
def test_a_script_of_an_allowed_origin_uses_a_token_and_never_the_password_of_the_browser(
    with_password: Visit, elsewhere: str, origins: str
) -> None:
    visited = with_password(elsewhere if origins == "named" else "*")

    assert visited.send("GET", "/download", credentials="include") == "TypeError"
    put = {"body": TEXT, "credentials": "include"}
    assert visited.send("PUT", "/upload/put.txt", **put) == "TypeError"
    # The answer that says what is missing can be read.
    assert visited.send("GET", "/download", credentials="omit") == 401
    assert visited.send("PUT", "/upload/put.txt", body=TEXT, credentials="omit") == 401
    visited.assert_unchanged()
    bearer = {"headers": {"Authorization": f"Bearer {SECRET}"}, "credentials": "omit"}
    assert visited.send("GET", "/download", **bearer) == 200
    assert visited.send("PUT", "/upload/put.txt", body=TEXT, **bearer) == 201
    wrong = {"headers": {"Authorization": "Bearer wrong"}, "credentials": "omit"}
    assert visited.send("GET", "/download", **wrong) == 401
    challenge = visited.page.evaluate(
        "async ([url, options]) => (await fetch(url, options)).headers.get('WWW-Authenticate')",
        [f"{visited.url}/download", wrong],
    )
    assert challenge.startswith("Bearer")


@pytest.mark.thorough
@pytest.mark.parametrize("who", [thorough("with_password"), "named_by_a_proxy"])
def test_where_all_origins_are_allowed_no_page_gets_what_its_reader_may(
    request: pytest.FixtureRequest, who: str
) -> None:
    visited = request.getfixturevalue(who)("*")

    refused = visited.try_what_needs_no_preflight()
    # The browser always sends the password when the page navigates by a form. Whether it does for
    # requests of scripts as well differs: Chromium does not, but its shell without a window does.
    assert refused[-2:] == [403, 403]
    assert set(refused) <= ({401, 403} if who == "with_password" else {403})
    came_to = set(visited.try_everything())
    assert came_to == ({"TypeError", 401} if who == "with_password" else {"TypeError"})
    assert visited.send("GET", "/download", credentials="include") == "TypeError"
    unread = visited.send("GET", "/download/kept.txt", credentials="omit")
    assert unread == (401 if who == "with_password" else "TypeError")
    visited.assert_unchanged()


@pytest.mark.thorough
def test_where_all_origins_are_allowed_every_page_may_do_what_strangers_may(
    strangers: Visit,
) -> None:
    visited = strangers("*")

    assert visited.send("PUT", "/upload/put.txt", body=TEXT) == 201
    assert visited.send("GET", "/download") == 200
    assert visited.page.evaluate(FORM, [f"{visited.url}/upload"]) == "opaque"
    assert visited.server.published() == ["form.txt", "kept.txt", "put.txt"]


def test_a_script_beside_the_proxy_cannot_name_a_person(
    start_server: Callable[..., LiveServer], page: "Page", elsewhere: str, tmp_path: Path
) -> None:
    rules = tmp_path / "access.toml"
    rules.write_text("[users.ada]\nscopes = ['list', 'read', 'write']\n")
    for name, origins in (("named", elsewhere), ("any", "*")):
        server = start_server(
            STORE_URL=str(tmp_path / name),
            CORS_ORIGINS=origins,
            WORKERS="1",
            ANONYMOUS="none",
            ACCESS_FILE=str(rules),
            TRUSTED_PROXIES="127.0.0.1",
            IDENTITY_HEADER="X-Remote-User",
        )
        ada = {"X-Remote-User": "ada"}
        assert httpx.get(f"{server.url}/download", headers=ada).status_code == 200
        for method, path in (("GET", "/download"), ("PUT", "/upload/a.txt")):
            options = {"method": method, "headers": ada}
            assert page.evaluate(SEND, [f"{server.url}{path}", options]) == "TypeError"
        assert server.published() == []


def test_a_page_that_rebinds_its_dns_name_reads_nothing(
    start_server: Callable[..., LiveServer], new_context: "Callable[..., BrowserContext]"
) -> None:
    server = start_server(ALLOWED_HOSTS="", WORKERS="1")
    (server.store / "secret.txt").write_bytes(b"secret")
    page = new_context().new_page()
    answer = page.goto(f"http://{REBOUND}:{server.port}/download/secret.txt?inline=1")
    assert answer is not None
    assert answer.status == 421
    assert "secret</pre>" not in page.content()
