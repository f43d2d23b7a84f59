"""The page for signing in: which forms are accepted, where they lead, and what the cookie is."""

from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.access.rules import SECRET
from tests.support.people import CI
from tests.support.rows import every_row
from tests.web.application import application

OWN = {"Origin": "http://localhost"}
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application that does nothing for strangers, and whose pages all origins may use."""
    return members_only(tmp_path_factory.mktemp("sign-in"), CORS_ORIGINS="*")


def members_only(directory: Path, **settings: str) -> Flask:
    access_file = directory / "access.toml"
    access_file.write_text(CI)
    defaults = {
        "ANONYMOUS": "none",
        "ACCESS_FILE": str(access_file),
        "TRUSTED_PROXIES": "127.0.0.1",
        "ALLOWED_HOSTS": "*",
        "AUTH_FAILURE_LIMIT": "none",
    }
    return application(directory / "store", **(defaults | settings))


def sign_in(client: FlaskClient, secret: str = SECRET, **fields: str) -> TestResponse:
    return client.post("/sign-in", data={"token": secret, **fields}, headers=OWN | HTML)


def session_of(app: Flask) -> str:
    """Sign in; return what Cookie has to be."""
    cookie = SimpleCookie(sign_in(app.test_client()).headers["Set-Cookie"])
    return "; ".join(f"{name}={morsel.coded_value}" for name, morsel in cookie.items())


def status(app: Flask, cookie: str, **fields: str) -> int:
    """The status of the list for whoever sends this cookie."""
    client = app.test_client(use_cookies=False)
    return client.get("/download", headers={"Cookie": cookie} | fields).status_code


def challenges(answer: TestResponse) -> list[str]:
    """The schemes that an answer asks for."""
    return [value.partition(" ")[0] for value in answer.headers.getlist("WWW-Authenticate")]


@every_row(
    ("fields", "expected", "basic"),
    [
        (HTML, 302, False),
        (HTML | {"Sec-Fetch-Dest": "document"}, 302, False),
        (HTML | {"Referer": "http://localhost/"}, 302, False),
        ({"Accept": "*/*"}, 401, True),
        ({"Accept": "application/json"}, 401, True),
        (HTML | {"Authorization": "Bearer wrong"}, 401, True),
        (HTML | {"Sec-Fetch-Dest": "empty"}, 401, False),
        ({"Accept": "*/*", "Sec-Fetch-Dest": "empty"}, 401, False),
        ({"Accept": "*/*", "Referer": "http://localhost/upload"}, 401, False),
        ({"Accept": "image/*", "Sec-Fetch-Dest": "image"}, 401, False),
        (HTML | {"Sec-Fetch-Dest": "iframe"}, 401, False),
    ],
)
def test_only_a_person_who_opens_the_page_is_led_to_the_page_for_signing_in(
    app: Flask, fields: dict[str, str], expected: int, basic: bool
) -> None:
    answer = app.test_client().get("/upload?q=a%26b", headers=fields)
    assert answer.status_code == expected
    if expected == 302:
        assert answer.headers["Location"] == "/sign-in?next=/upload?q%3Da%2526b"
        assert answer.headers["Cache-Control"] == "no-store"
    else:
        assert challenges(answer) == (["Bearer", "Basic"] if basic else ["Bearer"])


def test_file_that_a_person_opens_is_answered_with_a_challenge(app: Flask) -> None:
    fields = HTML | {"Sec-Fetch-Dest": "document"}
    answer = app.test_client().get("/download/a.txt", headers=fields)
    assert answer.status_code == 401
    assert challenges(answer) == ["Bearer", "Basic"]
    assert 'href="/sign-in"' in answer.text


@every_row("secret", ["hunter2", "", "\0", "\N{SNOWMAN}", "<b>", "token=a&token=b"])
def test_wrong_token_gives_the_page_again(app: Flask, secret: str) -> None:
    answer = sign_in(app.test_client(), secret, next="/upload?q=a")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fileservice"'
    assert "Set-Cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert 'value="/upload?q=a"' in answer.text
    assert not secret or secret not in answer.text


def test_guesses_of_tokens_are_limited_on_the_page_as_elsewhere(tmp_path: Path) -> None:
    client = members_only(tmp_path, AUTH_FAILURE_LIMIT="3/minute").test_client()
    statuses = [sign_in(client, f"guess {number}").status_code for number in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert sign_in(client).status_code == 429
    bearer = {"Authorization": "Bearer guess"}
    assert client.get("/download", headers=bearer).status_code == 429


def test_spaces_around_a_token_that_was_pasted_do_not_matter(app: Flask) -> None:
    assert sign_in(app.test_client(), f" {SECRET}\r\n").status_code == 303


def test_session_has_the_rights_of_its_token_and_no_others(app: Flask) -> None:
    client = app.test_client()
    sign_in(client)
    assert client.put("/upload/a.txt", data=b"text").status_code == 201
    assert client.get("/download/a.txt").status_code == 200
    assert client.delete("/download/a.txt").status_code == 403


def test_session_does_not_make_up_for_wrong_credentials(app: Flask) -> None:
    cookie = session_of(app)
    assert status(app, cookie) == 200
    assert status(app, cookie, Authorization="Bearer wrong") == 401
    assert status(app, cookie, Authorization="") == 401


FOREIGN = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://evil.example@localhost"},
    {"Origin": "http://localhost:81"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"} | OWN,
    {"Referer": "https://evil.example/upload"},
    {"Referer": "https://evil.example/http://localhost"},
    {"Referer": ""},
    {"Origin": "https://evil.example", "Referer": "http://localhost/sign-in"},
]


@every_row("path", ["/sign-in", "/sign-out"])
@every_row("fields", FOREIGN)
def test_form_that_is_not_from_the_service_signs_nobody_in_or_out(
    app: Flask, path: str, fields: dict[str, str]
) -> None:
    cookie = session_of(app)
    client = app.test_client(use_cookies=False)
    answer = client.post(path, data={"token": SECRET}, headers={"Cookie": cookie} | fields)
    assert answer.status_code == 403
    assert answer.json["code"] == "cross-site"
    assert "Set-Cookie" not in answer.headers
    assert status(app, cookie) == 200


@every_row(
    "fields",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},  # a proxy may have ended the encryption
        {"Referer": "http://localhost/sign-in?next=/upload"},
    ],
)
def test_form_of_the_service_is_accepted_from_browsers_of_any_age(
    app: Flask, fields: dict[str, str]
) -> None:
    answer = app.test_client().post("/sign-in", data={"token": SECRET}, headers=fields)
    assert answer.status_code == 303


@every_row(
    "text",
    ["//evil.example", "/\\evil.example", "https:evil.example", "/%2f%2fevil.example", "/..//evil"],
)
def test_signing_in_returns_only_to_paths_of_the_service(app: Flask, text: str) -> None:
    client = app.test_client()
    assert "evil" not in client.get("/sign-in", query_string={"next": text}).text
    assert "evil" not in sign_in(client, "wrong", next=text).text
    assert sign_in(client, next=text).headers["Location"] == "/upload"


@every_row(
    ("body", "content_type", "expected"),
    [
        (b"token=" + SECRET.encode(), "multipart/form-data; boundary=a", 415),
        (b"token=" + SECRET.encode(), "text/plain", 415),
        (b"a=b&" * 100, "application/x-www-form-urlencoded", 400),
        (b"token=" + b"a" * 100_000, "application/x-www-form-urlencoded", 401),
        (b"", "application/x-www-form-urlencoded", 401),
        (b"%ff%00=&&;=\xff", "application/x-www-form-urlencoded", 401),
        (b"token=" + SECRET.encode(), "application/x-www-form-urlencoded; charset=utf-8", 303),
    ],
)
def test_body_is_the_form_or_refused(
    app: Flask, body: bytes, content_type: str, expected: int
) -> None:
    answer = app.test_client().post("/sign-in", data=body, content_type=content_type, headers=OWN)
    assert answer.status_code == expected


@pytest.mark.parametrize("value", ["", "x", "a.b", "." * 4000, "%00", '"', "fileservice-session="])
def test_forged_session_is_none_at_all(tmp_path: Path, value: str) -> None:
    app = members_only(tmp_path, ANONYMOUS="list")
    session_of(app)  # there is a key now
    assert status(app, f"fileservice-session={value}") == 200


def test_cookie_is_for_this_service_only_and_not_for_scripts(app: Flask) -> None:
    answer = sign_in(app.test_client())
    cookie = SimpleCookie(answer.headers["Set-Cookie"])["fileservice-session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert not cookie["domain"]
    assert not cookie["secure"]  # the connection is not encrypted
    assert 0 < int(cookie["max-age"]) <= 12 * 3600


@pytest.mark.parametrize(
    ("settings", "fields", "name", "path"),
    [
        ({}, {"X-Forwarded-Proto": "https"}, "__Host-fileservice-session", "/"),
        (
            {},
            {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/files"},
            "__Secure-fileservice-session",
            "/files",
        ),
        ({}, {"X-Forwarded-Prefix": "/files"}, "fileservice-session", "/files"),
        ({"PUBLIC_URL": "https://localhost"}, {}, "__Host-fileservice-session", "/"),
        ({"PUBLIC_URL": "https://localhost/f"}, {}, "__Secure-fileservice-session", "/f"),
        ({"TRUSTED_PROXIES": ""}, {"X-Forwarded-Proto": "https"}, "fileservice-session", "/"),
    ],
)
def test_cookie_behind_a_proxy_is_secure_and_has_the_path_of_the_service(
    tmp_path: Path, settings: dict[str, str], fields: dict[str, str], name: str, path: str
) -> None:
    app = members_only(tmp_path, **settings)
    client = app.test_client(use_cookies=False)
    answer = client.post("/sign-in", data={"token": SECRET}, headers=OWN | fields)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])
    assert list(cookie) == [name]
    assert cookie[name]["path"] == path
    assert bool(cookie[name]["secure"]) is name.startswith("__")
    assert answer.headers["Location"] == f"{path.rstrip('/')}/upload"
    value = cookie[name].coded_value
    assert status(app, f"{name}={value}", **fields) == 200
    if name.startswith("__"):
        # A cookie that another host or a connection without TLS could have set does not count.
        assert status(app, f"fileservice-session={value}", **fields) == 401


def test_what_is_not_for_anybody_is_not_kept_by_shared_caches(tmp_path: Path) -> None:
    app = members_only(tmp_path, ANONYMOUS="list,read")
    client = app.test_client()
    sign_in(client)
    client.put("/upload/a.txt", data=b"text")
    etag = client.get("/download/a.txt").headers["ETag"]
    stranger = app.test_client()
    for path, more in (
        ("/download", {}),
        ("/download/a.txt", {}),
        ("/download/a.txt", {"If-None-Match": etag}),
    ):
        bearer = {"Authorization": f"Bearer {SECRET}"}
        assert client.get(path, headers=more).headers["Cache-Control"] == "private, no-cache"
        answer = stranger.get(path, headers=bearer | more)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        answer = stranger.get(path, headers=more)
        assert answer.headers.get("Cache-Control", "no-cache") == "no-cache"
    assert client.get("/upload").headers["Cache-Control"] == "no-store"


def test_strangers_are_offered_to_sign_in_where_somebody_can(tmp_path: Path) -> None:
    page = members_only(tmp_path, ANONYMOUS="list").test_client().get("/upload")
    assert '<a class="small" href="/sign-in">' in page.text
    page = application(tmp_path / "other").test_client().get("/upload")
    assert '<a class="small" href="/sign-in">' not in page.text


def test_page_says_who_reads_it(app: Flask) -> None:
    client = app.test_client()
    sign_in(client)
    page = client.get("/upload").text
    assert "<bdi>token ci</bdi>" in page
    assert 'action="/sign-out"' in page
    basic = app.test_client().get("/upload", auth=("any", SECRET)).text
    assert "<bdi>token ci</bdi>" in basic
    assert "Sign out" not in basic  # the browser, and not the service, keeps the password
