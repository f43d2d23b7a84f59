"""Passwords of links, guests without scripts, and where the secret of a link must not be."""

import base64
import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.links import LinkMaker, MadeLink
from tests.support.request_ids import without_id
from tests.support.servers import LiveServer
from tests.support.wire import Wire, eventually

TEXT = b"some text\n"
PEOPLE = {"Accept": "text/html,*/*;q=0.8"}
WRONG, RIGHT = "a guess", "correct horse"


@pytest.fixture
def links(server: LiveServer) -> LinkMaker:
    (server.store / "plan.txt").write_bytes(TEXT)
    return LinkMaker.of(server)


@pytest.fixture
def protected(links: LinkMaker) -> MadeLink:
    return links.download("plan.txt", password=RIGHT)


def basic(password: str) -> dict[str, str]:
    pair = base64.b64encode(f"any:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def say(client: httpx.Client, made: MadeLink, password: str) -> httpx.Response:
    """Send the form of the page."""
    return client.post(f"{made.path}/password", data={"password": password}, headers=PEOPLE)


def test_page_asks_for_the_password_and_says_nothing_about_the_file(
    client: httpx.Client, protected: MadeLink
) -> None:
    for path in (protected.path, protected.file):
        answer = client.get(path, headers=PEOPLE)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fileservice"'
        assert 'type="password"' in answer.text
        assert "plan" not in answer.text
    for path in (protected.path, protected.file, f"{protected.path}/other.txt"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="fileservice"'
        assert "plan" not in answer.text


def test_program_sends_the_password_as_that_of_basic(
    client: httpx.Client, protected: MadeLink
) -> None:
    assert client.get(protected.file, headers=basic(RIGHT)).content == TEXT
    assert client.get(protected.path, headers=basic(RIGHT)).json()["filename"] == "plan.txt"
    for wrong in (basic(WRONG), basic(protected.secret), {"Authorization": f"Bearer {WRONG}"}):
        assert client.get(protected.file, headers=wrong).status_code == 401
    assert client.get(protected.file).status_code == 401


def test_form_unlocks_this_link_in_this_browser(
    server: LiveServer, links: LinkMaker, client: httpx.Client, protected: MadeLink
) -> None:
    wrong = say(client, protected, WRONG)
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    assert "Set-Cookie" not in wrong.headers
    right = say(client, protected, RIGHT)
    assert (right.status_code, right.headers["Location"]) == (303, protected.path)
    cookie = right.headers["Set-Cookie"]
    assert f"Path={protected.path};" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert client.get(protected.path, headers=PEOPLE).status_code == 200
    assert client.get(protected.file).content == TEXT
    value = cookie.partition("=")[2].partition(";")[0]
    others = links.download("plan.txt", password=RIGHT)
    for made, text, status in (
        (protected, value, 200),
        (others, value, 401),
        (protected, "x", 401),
    ):
        fields = {"Cookie": f"fileservice-link-proof={text}"}
        assert httpx.get(server.url + made.file, headers=fields).status_code == status


def test_secret_as_bearer_does_not_replace_the_password(
    client: httpx.Client, protected: MadeLink
) -> None:
    for credentials in (protected.secret, f"{protected.secret}.", f"{protected.secret}.{'x' * 43}"):
        bearer = {"Authorization": f"Bearer {credentials}"}
        assert client.get("/download/plan.txt", headers=bearer).status_code == 401


def test_passwords_cannot_be_tried_for_long(start_server: Callable[..., LiveServer]) -> None:
    """Neither from one address nor from many; whoever has said the right one goes on."""
    server = start_server(
        AUTH_FAILURE_LIMIT="5/hour", TRUSTED_PROXIES="127.0.0.1", PUBLIC_URL="http://files.example"
    )
    (server.store / "plan.txt").write_bytes(TEXT)
    made, other = (LinkMaker.of(server).download("plan.txt", password=RIGHT) for _ in range(2))

    def attempt(link: MadeLink, address: str, password: str) -> int:
        fields = basic(password) | {"X-Forwarded-For": address}
        return httpx.get(server.url + link.file, headers=fields).status_code

    assert attempt(made, "192.0.2.9", RIGHT) == 200
    assert [attempt(other, "192.0.2.1", f"{n}") for n in range(6)] == [401] * 5 + [429]
    assert attempt(made, "192.0.2.1", RIGHT) == 429  # whichever link
    assert attempt(made, "192.0.2.2", RIGHT) == 200
    tried = [attempt(made, f"192.0.2.{10 + n}", f"{n}") for n in range(6)]
    assert tried == [401] * 5 + [429]
    assert attempt(made, "192.0.2.99", "another") == 429  # from whichever address
    assert attempt(made, "192.0.2.9", RIGHT) == 200


@pytest.mark.thorough
def test_passwords_that_are_sent_at_the_same_time_are_limited_as_well(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(AUTH_FAILURE_LIMIT="3/hour", WORKERS="2")
    (server.store / "plan.txt").write_bytes(TEXT)
    made = LinkMaker.of(server).download("plan.txt", password=RIGHT)

    def attempt(number: int) -> int:
        return httpx.get(server.url + made.file, headers=basic(f"{number}")).status_code

    with ThreadPoolExecutor(24) as pool:
        statuses = [*pool.map(attempt, range(48))]
    # Each of the two workers checks two passwords at a time.
    assert 3 <= statuses.count(401) <= 3 + 2 * 2
    assert statuses.count(429) == 48 - statuses.count(401)


def test_link_does_not_help_to_guess_the_secrets_of_tokens(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """What is wrong elsewhere does not count as right because the path of a link ignores it."""
    (tmp_path / "access.toml").write_text("")
    server = start_server(AUTH_FAILURE_LIMIT="3/hour", ACCESS_FILE=str(tmp_path / "access.toml"))
    (server.store / "plan.txt").write_bytes(TEXT)
    made = LinkMaker.of(server).download("plan.txt")
    statuses = []
    for _ in range(5):
        guess = {"Authorization": f"Bearer fs_{secrets.token_urlsafe(32)}"}
        assert httpx.get(server.url + made.file, headers=guess).status_code == 200
        statuses.append(httpx.get(f"{server.url}/download", headers=guess).status_code)
    assert statuses == [401] * 3 + [429] * 2


def test_guest_sends_a_file_without_scripts_and_sees_that_it_has_arrived(
    server: LiveServer, links: LinkMaker, client: httpx.Client
) -> None:
    made = links.upload("from-ada-")
    page = client.get(made.path, headers=PEOPLE)
    assert page.status_code == 200
    assert 'type="file"' in page.text
    assert "plan" not in page.text  # what else is stored
    for name in ("one.txt", "from-ada-two.txt"):
        sent = client.post(made.path, files={"file": (name, TEXT)}, headers=PEOPLE)
        assert (sent.status_code, sent.headers["Location"]) == (303, made.path)
    shown = client.get(made.path, headers=PEOPLE).text
    assert "from-ada-two.txt</bdi> has arrived" in shown
    assert "from-ada-one.txt" in shown
    assert server.published() == ["from-ada-one.txt", "from-ada-two.txt", "plan.txt"]
    with server.client() as other_guest:
        assert "from-ada-one" not in other_guest.get(made.path, headers=PEOPLE).text
        taken = other_guest.post(made.path, files={"file": ("one.txt", TEXT)}, headers=PEOPLE)
        assert taken.status_code == 409
        assert f'href="{made.path}"' in taken.text
        assert other_guest.get(f"{made.path}/from-ada-one.txt").status_code == 403
    assert client.post(made.path, files={"file": ("a.exe", b"MZ")}).status_code == 415
    described = client.get(made.path).json()["upload"]
    assert (described["prefix"], described["files"]) == ("from-ada-", None)


def test_what_a_browser_has_sent_cannot_be_forged(client: httpx.Client, links: LinkMaker) -> None:
    made, other = links.upload(), links.upload()
    sent = client.post(made.path, files={"file": ("a.txt", TEXT)}, headers=PEOPLE)
    value = sent.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    for link, text, shown in ((made, value, True), (other, value, False), (made, value[1:], False)):
        fields = {"Cookie": f"fileservice-link-sent={text}"}
        page = httpx.get(client.base_url.join(link.path), headers=PEOPLE | fields).text
        assert ("from-a.txt" in page) is shown


def test_guest_says_the_password_first(client: httpx.Client, links: LinkMaker) -> None:
    made = links.upload(password=RIGHT)
    files = {"file": ("a.txt", TEXT)}
    assert client.get(made.path, headers=PEOPLE).status_code == 401
    assert client.post(made.path, files=files).status_code == 401
    assert say(client, made, RIGHT).status_code == 303
    page = client.get(made.path, headers=PEOPLE)
    bearer = page.text.partition('data-bearer="')[2].partition('"')[0]
    assert client.post(made.path, files=files).status_code == 201
    credentials = {"Authorization": f"Bearer {bearer}"}
    raw = httpx.put(f"{client.base_url}/upload/from-b.txt", content=TEXT, headers=credentials)
    assert raw.status_code == 201


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 201),
        ({"Origin": "null"}, 201),  # the form of the page, over a connection without encryption
        ({}, 201),
    ],
    ids=str,
)
def test_forms_of_other_sites_are_refused(
    client: httpx.Client, links: LinkMaker, fields: dict[str, str], status: int
) -> None:
    made = links.upload()
    files = {"file": ("a.txt", TEXT)}
    assert client.post(made.path, files=files, headers=fields).status_code == status
    elsewhere = client.post("/upload", files={"file": ("b.txt", TEXT)}, headers={"Origin": "null"})
    assert elsewhere.status_code == 403


@pytest.fixture
def logged_server(over_a_directory: None, tmp_path: Path) -> Iterator[LiveServer]:
    """A server whose log has a line for each request."""
    logging = ("env", "GUNICORN_CMD_ARGS=--access-logfile -")
    server = LiveServer({"STORE_URL": str(tmp_path / "store")}, *logging)
    yield server
    server.kill()


def test_secret_is_in_no_log_and_in_no_error(logged_server: LiveServer) -> None:
    server = logged_server
    (server.store / "plan.txt").write_bytes(TEXT)
    maker = LinkMaker.of(server)
    made, gone = maker.download("plan.txt", 2), maker.download("plan.txt")
    locked, guest = maker.download("plan.txt", password=RIGHT), maker.upload()
    maker.revoke(gone)
    all_links = (made, gone, locked, guest)
    texts = []
    with server.client() as client:
        for each in all_links:
            encoded = "".join(f"%{ord(character):02X}" for character in each.secret)
            for path in (
                each.path,
                f"{each.path}?a=b",
                f"/s/{encoded}",
                f"/%73%2F{each.secret}",
                f"//s/{each.secret}",
                f"{each.path}/",
                f"{each.path}/plan.txt",
                f"{each.path}/other.txt",
                f"{each.path}x",
                f"/download/plan.txt?next=/s/{each.secret}",
            ):
                for method in ("GET", "HEAD", "POST", "PUT"):
                    answer = client.request(
                        method, path, headers=PEOPLE | {"Referer": f"{server.url}{each.path}"}
                    )
                    if answer.status_code >= 400:
                        # The page leads back to where its reader comes from.
                        texts.append(re.sub(rf'(href|action)="{each.path}[^"]*"', "", answer.text))
            client.get("/healthz", headers={"User-Agent": f"{server.url}{each.path}"})
        say(client, locked, WRONG)
        say(client, locked, RIGHT)
    with Wire(server) as wire:  # a head that cannot be parsed is quoted in its answer
        wire.send(f"GET {made.path} HTTP/9.9\r\n\r\n".encode())
        texts.append(wire.answer().body.decode())
    eventually(lambda: "HTTP/9.9" in server.log())
    for each in all_links:
        assert each.secret not in server.log()
        assert not any(each.secret in text for text in texts)
        assert f"link:{each.id}" in server.log() or each is gone
    assert "/s/[secret]" in server.log()
    for password in (WRONG, RIGHT):
        assert password not in server.log()


def test_secret_is_given_to_no_other_site_and_to_no_cache(
    client: httpx.Client, links: LinkMaker, protected: MadeLink
) -> None:
    made, gone = links.download("plan.txt"), links.download("plan.txt")
    links.revoke(gone)
    for path in (
        made.path,
        made.file,
        f"{made.path}/other.txt",
        f"{made.path}/",
        f"{made.path}/%ff",
        gone.path,
        protected.path,
        links.upload().path,
        f"/s/{'x' * 43}",
    ):
        for fields in (PEOPLE, {}):
            answer = client.get(path, headers=fields)
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "noindex" in answer.headers["X-Robots-Tag"]
            title = answer.text.partition("<title>")[2].partition("</title>")[0]
            assert path.split("/")[2] not in title
            refused = client.put(path, headers=fields)
            assert refused.status_code in {404, 405}
            assert refused.headers["Referrer-Policy"] == "no-referrer"


def test_link_that_is_over_and_one_that_never_was_differ_by_their_status_alone(
    client: httpx.Client, links: LinkMaker
) -> None:
    revoked, expired = links.download("plan.txt"), links.download("plan.txt", seconds=-5)
    links.revoke(revoked)
    gone = [client.get(made.path) for made in (revoked, expired)]
    assert {(answer.status_code, answer.json()["code"]) for answer in gone} == {(410, "link-gone")}
    assert len({without_id(answer.content, answer.headers) for answer in gone}) == 1
    unknown = client.get(f"/s/{secrets.token_urlsafe(32)}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")
