"""Header fields that name a person, as they arrive on a connection, and behind nginx."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.access.rules import SECRET, token
from tests.support.reverse_proxies import behind_sign_in
from tests.support.servers import ROOT, LiveServer
from tests.support.sign_in import PORTAL
from tests.support.unix_sockets import accepts, connect
from tests.support.wire import Wire, ask, assert_holds_only, eventually, request

RULES = f"""
{token("ci", scopes='["list", "write"]')}
[users."ada@example"]
scopes = ["list", "read"]
[groups.writers]
scopes = ["write"]
"""
TEXT = b"some text\n"
LIST = "GET /download"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "access.toml"
    path.write_text(RULES)
    return path


def settings(rules: Path, header: str = "X-Remote-User") -> dict[str, str]:
    return {
        "WORKERS": "1",
        "ANONYMOUS": "none",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ACCESS_FILE": str(rules),
        "IDENTITY_HEADER": header,
        "IDENTITY_GROUPS_HEADER": header.replace("User", "Groups"),
    }


@pytest.fixture(scope="module")
def trusting(rules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that takes these tests for a trusted proxy."""
    store = tmp_path_factory.mktemp("identity") / "store"
    server = LiveServer(settings(rules) | {"STORE_URL": str(store)})
    yield server
    server.stop()


ADA = "X-Remote-User: ada@example"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 401),
        ((ADA,), 200),
        (("x-remote-user: ada@example",), 200),
        (("X-REMOTE-USER:ada@example  ",), 200),
        (("X-Remote-User: bob@example",), 403),
        (("X-Remote-User:",), 401),
        # The similar names that become the same variable of WSGI.
        (("X_Remote_User: ada@example",), 401),
        (("X-Remote_User: ada@example",), 401),
        (("X_Remote-User: ada@example",), 401),
        (("X_Remote_User: ada@example", "X-Remote-User: bob@example"), 403),
        (("X-Remote-User: bob@example", "X_Remote_User: ada@example"), 403),
        ((ADA, "X_Remote_User: bob@example"), 200),
        (("X-Remote-User:", "X_Remote_User: ada@example"), 401),
        (("X-Remote-User: bob@example", "X_Remote_Groups: writers"), 403),
        # Several values.
        ((ADA, ADA), 400),
        ((ADA, "X-Remote-User: bob@example"), 400),
        (("X-Remote-User:", ADA), 400),
        ((ADA, "X-Remote-User:"), 400),
        (("X-Remote-User: ada@example, bob@example",), 400),
        # What is no text.
        ((f"{ADA}\u00e4",), 403),
        ((f"{ADA}\u200b",), 400),
        # Names of variables, and fields of other proxies.
        (("Remote-User: ada@example",), 401),
        (("HTTP_X_REMOTE_USER: ada@example",), 401),
        (("X-Forwarded-User: ada@example",), 401),
    ],
    ids=str,
)
def test_what_a_trusted_proxy_sends(
    trusting: LiveServer, fields: tuple[str, ...], status: int
) -> None:
    assert ask(trusting, request(LIST, *fields)).status == status


def test_a_name_that_is_not_utf_8_is_refused(trusting: LiveServer) -> None:
    asked = request(LIST, ADA).replace(b"ada@", b"\xe4da@")
    assert ask(trusting, asked).status == 400


@pytest.mark.parametrize("bad", [b"\0", b"\n", b"\r", b"\x7f"])
def test_control_characters_in_a_name_are_refused(trusting: LiveServer, bad: bytes) -> None:
    asked = request(LIST, ADA).replace(b"ada@", b"a" + bad + b"da@")
    assert ask(trusting, asked).status == 400


def test_a_name_in_the_trailer_of_a_body_is_no_field(trusting: LiveServer) -> None:
    body = b"5\r\ntext\n\r\n0\r\nX-Remote-User: ada@example\r\nX-Remote-Groups: writers\r\n\r\n"
    asked = request("PUT /upload/trailer.txt", "Transfer-Encoding: chunked", body=body)
    assert ask(trusting, asked).status == 401
    assert_holds_only(trusting, [])


def test_a_person_who_loses_the_right_while_uploading_publishes_nothing(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    rules = tmp_path / "access.toml"
    rules.write_text(RULES)
    server = start_server(**settings(rules))
    fields = (ADA, "X-Remote-Groups: writers")
    with Wire(server) as wire:
        upload = request("PUT /upload/a.txt", *fields, "Content-Length: 8", "Expect: 100-continue")
        assert wire.ask(upload).status == 100  # it has passed the door
        wire.send(b"some")
        rules.write_text("[users.'ada@example']\nscopes = ['list']\n")
        put = request("PUT /upload/b.txt", *fields, "Content-Length: 8", "Expect: 100-continue")
        eventually(lambda: ask(server, put).status == 403)
        wire.send(b" text")
        assert wire.answer(b"PUT").status == 403
    assert_holds_only(server, [])


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "127.0.0.2", "::1", "::127.0.0.1"])
def test_what_others_send_changes_nothing(
    start_server: Callable[..., LiveServer], rules: Path, trusted: str
) -> None:
    server = start_server(**settings(rules) | {"TRUSTED_PROXIES": trusted})
    for forged in (
        (ADA,),
        (ADA, "X-Remote-Groups: writers"),
        (ADA, ADA),
        (ADA, "X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1"),
        ("X_Remote_User: ada@example",),
        ("X-Remote-User: ada@example, ada@example",),
    ):
        for asked in (request(LIST, *forged), request("PUT /upload/a.txt", *forged, body=TEXT)):
            assert ask(server, asked).status == 401
    bearer = f"Authorization: Bearer {SECRET}"
    assert ask(server, request("GET /download/a.txt", ADA, bearer)).status == 403
    assert_holds_only(server, [])


def test_a_peer_on_a_unix_socket_is_trusted_if_any_proxy_is(
    rules: Path, tmp_path: Path, start_on_socket: Callable[..., Path]
) -> None:
    for trusted, status in (("10.0.0.1", 200), ("", 401)):
        variables = settings(rules) | {"TRUSTED_PROXIES": trusted}
        if not trusted:
            variables |= {"IDENTITY_HEADER": "", "IDENTITY_GROUPS_HEADER": ""}
        path = start_on_socket(f"{status}", **variables)
        assert status_on_socket(path, request(LIST, ADA)) == status
        # gunicorn itself would let a peer on a Unix socket send these two.
        for name in ("X_Remote_User: ada@example", "SCRIPT_NAME: /evil", "PATH_INFO: /evil"):
            assert status_on_socket(path, request(LIST, name)) == 401


# Behind nginx


class SignedIn:
    """The service behind nginx, set up as docs/security.md has it."""

    def __init__(self, url: str, server: LiveServer) -> None:
        self.url = url
        self.server = server

    def ask(self, method: str, path: str, *, who: str = "", **options: object) -> httpx.Response:
        headers = list(options.pop("headers", []))  # type: ignore[call-overload]
        if who:
            headers.append(("Cookie", f"who={who}"))
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **options)  # type: ignore[arg-type]


@pytest.fixture(
    scope="module",
    params=["oauth2-proxy", pytest.param("Authelia", marks=pytest.mark.thorough)],
)
def signed_in(
    request: pytest.FixtureRequest,
    nginx: None,
    rules: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SignedIn]:
    directory = tmp_path_factory.mktemp("nginx")
    header = "X-Remote-User" if request.param == "oauth2-proxy" else "Remote-User"
    server = LiveServer(settings(rules, header) | {"STORE_URL": str(directory / "store")})
    try:
        with behind_sign_in(request.param, directory, server) as url:
            yield SignedIn(url, server)
    finally:
        server.stop()


FORGED = [
    [("X-Remote-User", "ada@example"), ("Remote-User", "ada@example")],
    [("X-Remote-Groups", "writers"), ("Remote-Groups", "writers")],
    [("X_Remote_User", "ada@example"), ("Remote_User", "ada@example")],
    [("X_Remote_Groups", "writers"), ("Remote_Groups", "writers")],
    [("X-Remote-User", ""), ("X-Remote-User", "ada@example"), ("Remote-User", "ada@example")],
    [("X-Auth-Request-Email", "ada@example"), ("X-Auth-Request-Groups", "writers")],
    [("X-Forwarded-For", "127.0.0.1"), ("X-Remote-User", "ada@example")],
]


def test_whoever_signed_in_at_the_proxy_may_do_what_the_access_file_says(
    signed_in: SignedIn,
) -> None:
    assert signed_in.ask("GET", "/download", who="ada").json() == []
    assert signed_in.ask("PUT", "/upload/a.txt", who="ada", content=TEXT).status_code == 201
    assert signed_in.ask("GET", "/download/a.txt", who="ada").content == TEXT
    assert signed_in.ask("DELETE", "/download/a.txt", who="ada").status_code == 403
    for who in ("bob", "eve"):
        assert signed_in.ask("GET", "/download", who=who).status_code == 403
        assert signed_in.ask("PUT", "/upload/b.txt", who=who, content=TEXT).status_code == 403
    assert_holds_only(signed_in.server, ["a.txt"])
    signed_in.server.clear()


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_fields_that_clients_forge_do_not_get_through_the_proxy(
    signed_in: SignedIn, forged: list[tuple[str, str]]
) -> None:
    assert signed_in.ask("GET", "/download", headers=forged).status_code == 401
    for who, statuses in (("bob", (403, 403)), ("eve", (403, 403)), ("ada", (200, 201))):
        answers = (
            signed_in.ask("GET", "/download", who=who, headers=forged),
            signed_in.ask("PUT", "/upload/a.txt", who=who, headers=forged, content=TEXT),
        )
        assert tuple(answer.status_code for answer in answers) == statuses, who
    signed_in.server.clear()
    # A token instead of a cookie gets past the proxy's question, and no name with it.
    bearer = [("Authorization", "Bearer wrong"), *forged]
    refused = signed_in.ask("GET", "/download", headers=bearer)
    assert refused.status_code == 401
    assert len(refused.headers.get_list("WWW-Authenticate")) == 2
    bearer = [("Authorization", f"Bearer {SECRET}"), *forged]
    assert signed_in.ask("GET", "/download", headers=bearer).status_code == 200
    assert signed_in.ask("GET", "/download/a.txt", headers=bearer).status_code == 403


def test_programs_use_tokens_through_the_same_proxy(signed_in: SignedIn) -> None:
    for credentials in (f"Bearer {SECRET}", httpx.BasicAuth("x", SECRET)._auth_header):
        headers = [("Authorization", credentials)]
        answer = signed_in.ask("PUT", "/upload/a.txt", headers=headers, content=TEXT)
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"{signed_in.url}/download/a.txt"
        assert_holds_only(signed_in.server, ["a.txt"])
        signed_in.server.clear()


def test_a_page_leads_to_the_form_and_a_program_gets_401(signed_in: SignedIn) -> None:
    page = signed_in.ask("GET", "/upload?q=a", headers=[("Accept", "text/html")])
    assert page.status_code == 302
    assert page.headers["Location"] in (
        f"{signed_in.url}/oauth2/sign_in?rd=/upload?q=a",
        PORTAL,
    )
    assert signed_in.ask("GET", "/upload").status_code == 401
    assert signed_in.ask("PUT", "/upload/a.txt", content=TEXT).status_code == 401


def test_a_page_of_another_site_changes_nothing_for_whoever_has_signed_in(
    signed_in: SignedIn,
) -> None:
    for fields in ([("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site")]):
        answer = signed_in.ask("POST", "/upload/a.txt", who="ada", headers=fields, content=TEXT)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross-site")
    own = [("Origin", signed_in.url)]
    assert signed_in.ask("PUT", "/upload/a.txt", who="ada", headers=own, content=TEXT).is_success
    assert_holds_only(signed_in.server, ["a.txt"])
    signed_in.server.clear()


def test_tailscale_serve_names_people_and_strangers_cannot(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    rules = tmp_path / "access.toml"
    rules.write_text("[users.'ada@example']\nscopes = ['list']\n")
    page = (ROOT / "docs" / "security.md").read_text().partition("### Tailscale Serve")[2]
    variables = dict(
        re.findall(r"^FILESERVICE_(\w+)=(.+)$", page.partition("###")[0], re.MULTILINE)
    )
    del variables["BIND"]
    public = variables["PUBLIC_URL"]
    server = start_server(**variables | {"ACCESS_FILE": str(rules), "WORKERS": "1"})
    host = public.removeprefix("https://")
    sent = (f"X-Forwarded-Host: {host}", "X-Forwarded-Proto: https", "X-Forwarded-For: 100.64.0.7")
    named = (*sent, "Tailscale-User-Login: ada@example", "Tailscale-User-Name: Ada")
    invented = ("X-Forwarded-Prefix: /evil", "Tailscale_User_Login: ada@example")

    assert ask(server, request(LIST, *named)).status == 200
    assert ask(server, request(LIST, *sent)).status == 401
    assert ask(server, request(LIST, *sent, *invented)).status == 401
    moved = ask(server, request("GET /", *named, *invented))
    assert moved.headers["Location"] == "/upload"


@pytest.fixture
def start_on_socket(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start servers on Unix sockets; return the path of the socket."""
    servers: list[SocketServer] = []

    def start(name: str, **variables: str) -> Path:
        path = tmp_path / f"{name}.sock"
        servers.append(SocketServer(path, variables | {"STORE_URL": str(tmp_path / name)}))
        return path

    yield start
    for server in servers:
        server.kill()


class SocketServer(LiveServer):
    """The service on a Unix socket."""

    def __init__(self, path: Path, variables: dict[str, str]) -> None:
        self._path = path
        super().__init__(variables)

    def start(self) -> None:
        self._environ["FILESERVICE_BIND"] = f"unix:{self._path}"
        self.launch()
        eventually(lambda: accepts(self._path))


def status_on_socket(path: Path, asked: bytes) -> int:
    with connect(path) as client:
        client.sendall(asked)
        return int(client.makefile("rb").readline().split()[1])
