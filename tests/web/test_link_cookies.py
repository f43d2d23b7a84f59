"""The cookies of links: for which paths, and over which connections, browsers send them."""

import io
import re
import secrets
from pathlib import Path

from tests.support.links import LinkMaker
from tests.web.application import TEXT, application

PEOPLE = {"Accept": "text/html"}


def test_cookies_are_secure_over_tls_and_only_for_the_path_of_the_link(tmp_path: Path) -> None:
    root = tmp_path / "store"
    app = application(root, PUBLIC_URL="https://files.example/shared", TRUSTED_PROXIES="127.0.0.1")
    (root / "a.txt").write_bytes(TEXT)
    made = LinkMaker(str(root)).download("a.txt", password="x")
    client = app.test_client(use_cookies=False)
    own = {"Sec-Fetch-Site": "same-origin"}
    unlocked = client.post(f"{made.path}/password", data={"password": "x"}, headers=own)
    page = client.get(
        made.path,
        headers=PEOPLE | {"Cookie": unlocked.headers["Set-Cookie"].partition(";")[0]},
    )
    for answer, name in ((unlocked, "fileservice-link-proof"), (page, "fileservice-link")):
        (cookie,) = answer.headers.getlist("Set-Cookie")
        assert cookie.startswith(f"__Secure-{name}=")
        assert f"; Path=/shared{made.path};" in cookie
        assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert unlocked.headers["Location"] == f"/shared{made.path}"
    assert page.status_code == 200
    assert f'href="/shared{made.file}"' in page.text
    assert f"https://files.example/shared{made.file}" in page.text


def test_cookies_that_are_not_utf_8_do_not_hide_those_of_the_service(tmp_path: Path) -> None:
    root = tmp_path / "store"
    app = application(root)
    (root / "a.txt").write_bytes(TEXT)
    made = LinkMaker(str(root)).download("a.txt", password="x")
    client = app.test_client(use_cookies=False)
    own = {"Sec-Fetch-Site": "same-origin"}
    unlocked = client.post(f"{made.path}/password", data={"password": "x"}, headers=own)
    proof = unlocked.headers["Set-Cookie"].partition(";")[0]
    for others in ("x=\xff", "fileservice-session=\xff", "fileservice-link=\xff"):
        for path in (made.path, made.file, "/upload"):
            fields = PEOPLE | {"Cookie": f"{others}; {proof}"}
            assert client.get(path, headers=fields).status_code == 200, (others, path)


def test_record_of_a_use_says_nothing_about_the_client(tmp_path: Path) -> None:
    root = tmp_path / "store"
    app = application(root)
    (root / "a.txt").write_bytes(TEXT)
    links = LinkMaker(str(root))
    made, other = links.download("a.txt", 2), links.download("a.txt", 2)
    client = app.test_client()
    for link in (made, other):
        assert client.get(link.file, headers={"User-Agent": "Firefox"}).data == TEXT
    (use,), (same_client,) = links.get(made).uses, links.get(other).uses
    assert re.fullmatch("[0-9a-f]{32}", use.client)
    assert use.client != same_client.client
    record = next((root / ".fileservice").rglob(made.id)).read_text()
    for text in ("127.0.0.1", "Firefox", made.secret):
        assert text not in record


def test_list_of_what_was_sent_fits_into_a_cookie(tmp_path: Path) -> None:
    root = tmp_path / "store"
    client = application(root).test_client()
    made = LinkMaker(str(root)).upload("from-")
    for number in range(60):
        name = f"{secrets.token_hex(50)}-{number}.txt"  # which cannot be compressed
        sent = client.post(made.path, data={"file": (io.BytesIO(TEXT), name)}, headers=PEOPLE)
        assert sent.status_code == 303
        assert len(sent.headers["Set-Cookie"]) < 4000
    shown = client.get(made.path, headers=PEOPLE).text
    assert "-59.txt" in shown
    assert 10 < shown.count("<li>") < 60
