"""Signing in with OpenID Connect at a real provider: the way there and back, and attacks on it."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.identity_provider import CLIENT, IdentityProvider, identity_provider
from tests.support.people import ADA, CI, STAFF, AccessFileOnDisk, browser, sign_in
from tests.support.ports import free_port
from tests.support.servers import LiveServer
from tests.support.wire import eventually

Start = Callable[..., LiveServer]
Visit = Callable[[], httpx.Client]
VERIFIED = {"email": "ada@example.org", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        provider.describe("ada", **VERIFIED)
        provider.describe("grace", email="grace@example.org", email_verified=True, groups=["staff"])
        yield provider


@pytest.fixture(scope="module")
def access_file(tmp_path_factory: pytest.TempPathFactory) -> AccessFileOnDisk:
    return AccessFileOnDisk(tmp_path_factory.mktemp("access") / "access.toml")


def settings(access_file: AccessFileOnDisk, issuer: str) -> dict[str, str]:
    return {
        "ANONYMOUS": "none",
        "ACCESS_FILE": str(access_file.path),
        "OIDC_ISSUER": issuer,
        "WORKERS": "1",
        **CLIENT,
    }


@pytest.fixture(scope="module")
def members(
    provider: IdentityProvider,
    access_file: AccessFileOnDisk,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveServer]:
    """A server at which people sign in with the provider."""
    store = tmp_path_factory.mktemp("members") / "store"
    server = LiveServer({"STORE_URL": str(store)} | settings(access_file, provider.issuer))
    yield server
    server.stop()


@pytest.fixture
def visit(members: LiveServer) -> Iterator[Visit]:
    """The browser of a person."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(browser(members))


def leave(client: httpx.Client, **query: str) -> httpx.URL:
    """Begin to sign in; return where the browser is sent."""
    answer = client.get("/sign-in/oidc", params=query)
    assert answer.status_code == 302
    return httpx.URL(answer.headers["Location"])


def come_back(
    client: httpx.Client, provider: IdentityProvider, who: str, **query: str
) -> httpx.URL:
    """Sign in at the provider; return the URL to which that leads, which is not opened yet."""
    return provider.approve(str(leave(client, **query)), who)


def assert_refused(client: httpx.Client, url: httpx.URL, reason: str) -> None:
    answer = client.get(str(url))
    assert answer.status_code == 400
    assert "sign-in-failed" in answer.text
    assert reason in answer.text
    assert "fileservice-session" not in answer.headers.get("Set-Cookie", "")
    assert client.get("/download").status_code == 401


def test_person_comes_back_signed_in(provider: IdentityProvider, visit: Visit) -> None:
    client = visit()
    answer = client.get(str(come_back(client, provider, "ada", next="/upload?sort=-size")))
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/upload?sort=-size"
    page = client.get("/upload").text
    assert "<bdi>ada@example.org</bdi>" in page
    assert "Sign out" in page
    assert client.put("/upload/a.txt", content=b"text").status_code == 201
    assert client.delete("/download/a.txt").status_code == 204


def test_member_of_a_group_has_the_rights_of_the_group(
    provider: IdentityProvider, visit: Visit
) -> None:
    client = visit()
    client.get(str(come_back(client, provider, "grace")))
    assert client.get("/download").status_code == 200
    assert client.put("/upload/a.txt", content=b"text").status_code == 403


def test_what_is_sent_to_the_provider_protects_the_way_back(
    members: LiveServer, visit: Visit
) -> None:
    client, other = visit(), visit()
    one, two = leave(client).params, leave(other).params
    assert one["response_type"] == "code"
    assert one["code_challenge_method"] == "S256"
    assert one["redirect_uri"] == f"{members.url}/sign-in/oidc/callback"
    assert set(one["scope"].split()) == {"openid", "email", "profile"}
    for name in ("state", "nonce", "code_challenge"):
        assert len(one[name]) >= 20
        assert one[name] != two[name]
    assert "verifier" not in str(one)


@pytest.mark.parametrize("state", ["", "forged", None, "\N{SNOWMAN}"])
def test_forged_state_signs_nobody_in(
    provider: IdentityProvider, visit: Visit, state: str | None
) -> None:
    client = visit()
    back = come_back(client, provider, "ada")
    forged = back.copy_remove_param("state")
    if state is not None:
        forged = back.copy_set_param("state", state)
    assert_refused(client, forged, "begin again")


def test_another_browser_is_not_signed_in_by_the_link_of_an_attacker(
    provider: IdentityProvider, visit: Visit
) -> None:
    attacker, victim, beginner = visit(), visit(), visit()
    link = come_back(attacker, provider, "ada")
    assert_refused(victim, link, "begin again")
    leave(beginner)  # a browser that has begun something else
    assert_refused(beginner, link, "begin again")


def test_code_of_another_sign_in_is_refused_by_its_nonce(
    members: LiveServer, provider: IdentityProvider, visit: Visit
) -> None:
    attacker, victim = visit(), visit()
    stolen = come_back(attacker, provider, "ada").params["code"]
    back = come_back(victim, provider, "grace")
    assert_refused(victim, back.copy_set_param("code", stolen), "not valid")
    assert "invalid_claim" in members.log()
    assert stolen not in members.log()


@pytest.fixture(scope="module")
def strict_provider() -> Iterator[IdentityProvider]:
    """A provider that gives tokens only to whoever has the verifier of a code's challenge."""
    with identity_provider(strict=True) as provider:
        provider.describe("ada", **VERIFIED)
        provider.describe("grace", email="grace@example.org", email_verified=True, groups=["staff"])
        yield provider


@pytest.fixture(scope="module")
def of_strict_provider(
    strict_provider: IdentityProvider,
    access_file: AccessFileOnDisk,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveServer]:
    store = tmp_path_factory.mktemp("strict") / "store"
    server = LiveServer({"STORE_URL": str(store)} | settings(access_file, strict_provider.issuer))
    yield server
    server.stop()


def test_provider_that_insists_on_pkce_gets_the_verifier_of_its_challenge(
    strict_provider: IdentityProvider, of_strict_provider: LiveServer
) -> None:
    with browser(of_strict_provider) as client:
        back = come_back(client, strict_provider, "ada")
        assert client.get(str(back)).status_code == 303
        assert client.get("/download").status_code == 200
        assert "verifier" not in str(back)
        assert "verifier" not in of_strict_provider.log()


def test_code_of_another_sign_in_is_refused_by_its_verifier(
    strict_provider: IdentityProvider, of_strict_provider: LiveServer
) -> None:
    """Whoever intercepts a code has the verifier of no challenge but their own."""
    with browser(of_strict_provider) as victim, browser(of_strict_provider) as attacker:
        stolen = come_back(victim, strict_provider, "ada").params["code"]
        back = come_back(attacker, strict_provider, "grace")
        forged = back.copy_set_param("code", stolen)
        assert_refused(attacker, forged, "does not accept the code")
    assert "invalid_grant" in of_strict_provider.log()


def test_code_that_was_asked_for_without_our_challenge_signs_nobody_in(
    strict_provider: IdentityProvider, of_strict_provider: LiveServer
) -> None:
    """The challenge is a field of a URL, which somebody could have replaced by their own."""
    with browser(of_strict_provider) as client:
        away = leave(client)
        for changed in (
            away.copy_remove_param("code_challenge"),
            away.copy_set_param("code_challenge_method", "plain"),
        ):
            assert httpx.post(str(changed), data={"sub": "ada"}).status_code == 400
        planted = away.copy_set_param("code_challenge", "A" * 43)
        back = strict_provider.approve(str(planted), "ada")
        assert_refused(client, back, "does not accept the code")


def test_code_is_of_no_use_a_second_time(provider: IdentityProvider, visit: Visit) -> None:
    client = visit()
    back = come_back(client, provider, "ada")
    kept = dict(client.cookies)
    assert client.get(str(back)).status_code == 303
    thief = visit()
    thief.cookies.update({name: value for name, value in kept.items() if "oidc" in name})
    assert_refused(thief, back, "does not accept the code")  # even with the victim's cookie
    assert_refused(visit(), back, "begin again")


def test_cookie_of_the_way_there_is_no_session_and_cannot_be_changed(
    members: LiveServer, provider: IdentityProvider, visit: Visit
) -> None:
    client, other = visit(), visit()
    back = come_back(client, provider, "ada")
    cookie = client.cookies["fileservice-oidc"]
    forged = {"Cookie": f"fileservice-session={cookie}"}
    assert httpx.get(f"{members.url}/download", headers=forged).status_code == 401
    other.cookies["fileservice-oidc"] = cookie[:-5] + "AAAAA"
    assert_refused(other, back, "begin again")


@pytest.mark.parametrize("text", ["//evil.example", "/\\evil.example", "https:evil.example", ""])
def test_person_comes_back_to_paths_of_the_service_only(
    provider: IdentityProvider, visit: Visit, text: str
) -> None:
    client = visit()
    answer = client.get(str(come_back(client, provider, "ada", next=text)))
    assert answer.headers["Location"] == "/upload"


def test_person_whom_nobody_has_given_rights_reads_that_it_has_none(
    provider: IdentityProvider, visit: Visit
) -> None:
    provider.describe("eve", email="eve@example.org", email_verified=True, groups=["visitors"])
    client = visit()
    answer = client.get(str(come_back(client, provider, "eve")))
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "eve@example.org" in answer.text
    assert "any rights here" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert client.get("/download").status_code == 401


@pytest.mark.parametrize("claims", [{}, {"email_verified": False}])
def test_email_that_is_not_verified_gives_nobody_its_rights(
    provider: IdentityProvider, visit: Visit, claims: dict[str, bool]
) -> None:
    provider.describe("mallory", email="ada@example.org", **claims)
    client = visit()
    answer = client.get(str(come_back(client, provider, "mallory")))
    assert answer.status_code == 403
    assert "mallory" in answer.text
    # This provider lets everybody choose an identifier, even one that looks like an email.
    provider.describe("ada@example.org", email="ada@example.org", **claims)
    assert_refused(client, come_back(client, provider, "ada@example.org"), "verified your email")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "did not sign you in (access_denied)"),
        ("<b>evil</b>", "did not sign you in"),
    ],
)
def test_refusal_of_the_provider_is_reported_without_its_words(
    visit: Visit, error: str, reason: str
) -> None:
    client = visit()
    words = {"error": error, "error_description": "evil", "state": leave(client).params["state"]}
    back = httpx.URL("/sign-in/oidc/callback", params=words)
    assert_refused(client, back, reason)
    assert "evil" not in client.get(str(back)).text


def test_group_that_is_removed_takes_its_rights_along(
    access_file: AccessFileOnDisk, provider: IdentityProvider, visit: Visit
) -> None:
    client = visit()
    client.get(str(come_back(client, provider, "grace")))
    assert client.get("/download").status_code == 200
    try:
        access_file.write(CI + ADA + STAFF.replace('"list", ', ""))
        eventually(lambda: client.get("/download").status_code == 403)
        access_file.write(CI + ADA)
        eventually(lambda: client.get("/download").status_code == 401)
    finally:
        access_file.write(CI + ADA + STAFF)
    eventually(lambda: client.get("/download").status_code == 200)


def test_group_that_is_named_later_counts_after_signing_in_again(
    access_file: AccessFileOnDisk, provider: IdentityProvider, visit: Visit
) -> None:
    provider.describe(
        "joan", email="joan@example.org", email_verified=True, groups=["ops", "staff"]
    )
    client = visit()
    client.get(str(come_back(client, provider, "joan")))
    try:
        access_file.write(CI + ADA + STAFF + '[groups.ops]\nscopes = ["delete"]\n')
        eventually(
            lambda: (
                client.get(str(come_back(client, provider, "joan"))).status_code == 303
                and client.delete("/download/none.txt").status_code == 404
            )
        )
    finally:
        access_file.write(CI + ADA + STAFF)


@pytest.mark.thorough
def test_provider_that_is_down_prevents_nothing_but_signing_in_with_it(
    start_server: Start, access_file: AccessFileOnDisk
) -> None:
    provider = IdentityProvider()
    server = start_server(**settings(access_file, provider.issuer))
    with browser(server) as client:
        answer = client.get("/sign-in/oidc")
        assert answer.status_code == 503
        assert "provider-unavailable" in answer.text
        assert "it does not answer" in answer.text
        assert int(answer.headers["Retry-After"]) > 0
        assert sign_in(client).status_code == 303
        assert client.get("/download").status_code == 200
    assert f"the OpenID provider {provider.issuer} cannot be used" in server.log()
    provider.start()
    try:
        provider.describe("ada", **VERIFIED)
        with browser(server) as client:
            eventually(lambda: client.get("/sign-in/oidc").status_code == 302)
            assert client.get(str(come_back(client, provider, "ada"))).status_code == 303
        provider.stop()
        provider.start()  # with another signing key
        provider.describe("ada", **VERIFIED)
        with browser(server) as client:
            assert client.get(str(come_back(client, provider, "ada"))).status_code == 303
    finally:
        provider.stop()


def test_others_are_served_while_a_provider_hangs(
    start_server: Start, access_file: AccessFileOnDisk
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as silent, ThreadPoolExecutor(1) as threads:
        silent.settimeout(30)
        server = start_server(**settings(access_file, f"http://127.0.0.1:{port}"))
        waiting = threads.submit(httpx.get, f"{server.url}/sign-in/oidc", timeout=60)
        connection, _ = silent.accept()  # and not a byte more
        with connection, browser(server) as client:
            sign_in(client)
            served = 0
            for _ in range(20):
                assert client.get("/download").status_code == 200
                served += not waiting.done()
            assert served > 5  # on a machine that is busy, not all within the service's 5 seconds
            assert waiting.result().status_code == 503


def test_client_secret_and_codes_are_in_no_log(
    members: LiveServer, provider: IdentityProvider, visit: Visit, tmp_path: Path
) -> None:
    client = visit()
    back = come_back(client, provider, "ada")
    client.get(str(back))
    for secret in (CLIENT["OIDC_CLIENT_SECRET"], back.params["code"], back.params["state"]):
        assert secret not in members.log()
