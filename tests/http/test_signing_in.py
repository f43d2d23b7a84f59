"""Signing in with a token: the session of a browser, from its beginning to its end."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.access.rules import SECRET, token
from tests.support.people import (
    ADA,
    CI,
    AccessFileOnDisk,
    await_status,
    browser,
    sign_in,
    sign_out,
    status,
    statuses,
)
from tests.support.servers import LiveServer
from tests.support.wire import Wire, request

Start = Callable[..., LiveServer]
Visit = Callable[[LiveServer], httpx.Client]


@pytest.fixture(scope="module")
def access_file(tmp_path_factory: pytest.TempPathFactory) -> AccessFileOnDisk:
    return AccessFileOnDisk(tmp_path_factory.mktemp("access") / "access.toml")


@pytest.fixture(scope="module")
def members_server(start_module_server: Start, access_file: AccessFileOnDisk) -> LiveServer:
    """A server with two workers, which does nothing for strangers."""
    return start_module_server(ANONYMOUS="none", ACCESS_FILE=str(access_file.path), WORKERS="2")


@pytest.fixture
def members_only(members_server: LiveServer) -> LiveServer:
    """The server of this module, emptied."""
    members_server.clear()
    return members_server


@pytest.fixture
def visit() -> Iterator[Visit]:
    """A person's browser: `visit(server)`."""
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(browser(server))


def test_page_leads_to_the_page_for_signing_in_and_that_leads_back(
    members_only: LiveServer, visit: Visit
) -> None:
    client = visit(members_only)
    to_sign_in = client.get("/upload?sort=-size&q=a%26b")
    assert to_sign_in.status_code == 302
    page = client.get(to_sign_in.headers["Location"])
    assert page.status_code == 200
    assert 'value="/upload?sort=-size&amp;q=a%26b"' in page.text
    signed_in = sign_in(client, next="/upload?sort=-size&q=a%26b")
    assert signed_in.status_code == 303
    assert signed_in.headers["Location"] == "/upload?sort=-size&q=a%26b"
    files = client.get(signed_in.headers["Location"])
    assert files.status_code == 200
    assert "token ci" in files.text
    assert "Sign out" in files.text


def test_wrong_token_is_reported_on_the_page_without_anything_of_it(
    members_only: LiveServer, visit: Visit
) -> None:
    client = visit(members_only)
    answer = sign_in(client, "hunter2", next="/upload?q=a")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fileservice"'
    assert "Set-Cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert 'value="/upload?q=a"' in answer.text
    assert status(members_only, client.cookies) == 401
    for shown in (answer.text, str(answer.headers), members_only.log()):
        assert "hunter2" not in shown


def test_session_is_the_principal_of_its_token(members_only: LiveServer, visit: Visit) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    creation = {"Upload-Length": "10", "Upload-Metadata": "filename YS50eHQ="}
    bearer = {"Authorization": f"Bearer {SECRET}"}
    begun = httpx.post(f"{members_only.url}/tus/", headers=tus | creation | bearer)
    assert begun.status_code == 201
    client = visit(members_only)
    sign_in(client)
    end = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    answer = client.patch(begun.headers["Location"], content=b"some text\n", headers=tus | end)
    assert answer.status_code == 204
    assert members_only.published() == ["a.txt"]


def test_copied_cookie_is_worthless_after_signing_out(
    members_only: LiveServer, visit: Visit
) -> None:
    client, other = visit(members_only), visit(members_only)
    sign_in(client)
    sign_in(other)
    copied = httpx.Cookies(client.cookies)
    assert statuses(members_only, copied) == {200}
    answer = sign_out(client)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/upload"
    assert "fileservice-session=; " in answer.headers["Set-Cookie"]
    await_status(members_only, copied, 401)
    members_only.replace_workers()
    assert statuses(members_only, copied) == {401}
    assert statuses(members_only, other.cookies) == {200}


def test_signing_in_begins_a_new_session_and_ends_the_one_before(
    members_only: LiveServer, visit: Visit
) -> None:
    client = visit(members_only)
    sign_in(client)
    planted = httpx.Cookies(client.cookies)
    sign_in(client)
    assert dict(client.cookies) != dict(planted)
    await_status(members_only, planted, 401)
    assert status(members_only, client.cookies) == 200


def test_session_outlives_the_workers_and_the_service(
    members_only: LiveServer, visit: Visit
) -> None:
    client = visit(members_only)
    sign_in(client)
    members_only.stop()
    members_only.start()
    assert statuses(members_only, client.cookies) == {200}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ADA, 401),
        (token("ci", "fs_" + "n" * 43, '["list"]'), 401),
        (token("ci", rest="expires = 2020-01-01T00:00:00Z", scopes='["list"]'), 401),
        (token("ci", scopes='["write"]'), 403),
    ],
    ids=["revoked", "renewed", "expired", "demoted"],
)
def test_session_loses_what_its_token_loses(
    members_only: LiveServer, access_file: AccessFileOnDisk, rules: str, expected: int, visit: Visit
) -> None:
    client = visit(members_only)
    sign_in(client)
    assert status(members_only, client.cookies) == 200
    access_file.write(rules)
    await_status(members_only, client.cookies, expected)
    access_file.write(CI)
    await_status(members_only, client.cookies, 200)  # it was never what the session contains


def test_upload_of_a_session_that_was_ended_meanwhile_is_not_published(
    members_only: LiveServer, visit: Visit
) -> None:
    client = visit(members_only)
    sign_in(client)
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    with Wire(members_only) as wire:
        wire.send(request("PUT /upload/a.txt", f"Cookie: {cookie}", "Content-Length: 10"))
        wire.send(b"some ")
        copied = httpx.Cookies(client.cookies)
        sign_out(client)
        await_status(members_only, copied, 401)
        wire.send(b"text\n")
        assert wire.answer(to=b"PUT").status == 401
    assert members_only.published() == []


def test_secret_key_is_private_and_in_no_log(
    over_a_directory: None, start_server: Start, access_file: AccessFileOnDisk, visit: Visit
) -> None:
    server = start_server(ANONYMOUS="none", ACCESS_FILE=str(access_file.path), WORKERS="1")
    path = server.store / ".fileservice" / "secret-key"
    assert not path.exists()
    client = visit(server)
    sign_in(client)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() not in server.log()
    for name in ("secret-key", "..%2f.fileservice%2fsecret-key", ".fileservice/secret-key"):
        assert client.get(f"/download/{name}").status_code == 404


def test_damaged_key_is_reported_and_lets_nobody_in(
    over_a_directory: None, start_server: Start, access_file: AccessFileOnDisk, visit: Visit
) -> None:
    server = start_server(ANONYMOUS="list", ACCESS_FILE=str(access_file.path), WORKERS="1")
    (server.store / ".fileservice" / "secret-key").write_bytes(b"")
    client = visit(server)
    answer = sign_in(client)
    assert answer.status_code == 503
    assert "remove .fileservice/secret-key" in answer.text
    assert client.get("/download").status_code == 200


def test_same_key_in_the_settings_makes_sessions_valid_in_another_store(
    start_server: Start, access_file: AccessFileOnDisk, tmp_path: Path, visit: Visit
) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40)
    settings = {"ANONYMOUS": "none", "ACCESS_FILE": str(access_file.path), "WORKERS": "1"}
    one = start_server(SECRET_KEY_FILE=str(key), STORE_URL=str(tmp_path / "one"), **settings)
    other = start_server(SECRET_KEY="k" * 40, STORE_URL=str(tmp_path / "other"), **settings)
    third = start_server(STORE_URL=str(tmp_path / "third"), **settings)
    client = visit(one)
    sign_in(client)
    assert status(other, client.cookies) == 200
    assert status(third, client.cookies) == 401
    assert "kkkk" not in one.log() + other.log()
