"""Signing in and out in a browser: with a token, and with a real OpenID provider."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.access.rules import SECRET
from tests.browser.conftest import MIB
from tests.browser.watched import Watched
from tests.support.identity_provider import CLIENT, IdentityProvider, identity_provider
from tests.support.people import ADA, CI, STAFF, AccessFileOnDisk
from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

Open = Callable[..., Watched]
NewContext = Callable[..., "BrowserContext"]


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        provider.describe("ada", email="ada@example.org", email_verified=True)
        provider.describe("grace", email="grace@example.org", email_verified=True, groups=["staff"])
        yield provider


@pytest.fixture(scope="module")
def access_file(tmp_path_factory: pytest.TempPathFactory) -> AccessFileOnDisk:
    return AccessFileOnDisk(tmp_path_factory.mktemp("access") / "access.toml")


@pytest.fixture(scope="module")
def members(
    provider: IdentityProvider,
    access_file: AccessFileOnDisk,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveServer]:
    """A server that does nothing for strangers."""
    server = LiveServer(
        {
            "STORE_URL": str(tmp_path_factory.mktemp("members") / "store"),
            "ANONYMOUS": "none",
            "ACCESS_FILE": str(access_file.path),
            "OIDC_ISSUER": provider.issuer,
            "WORKERS": "2",
            **CLIENT,
        }
    )
    yield server
    server.stop()


@pytest.fixture
def member(members: LiveServer) -> LiveServer:
    """The server, emptied."""
    members.clear()
    return members


def sign_in(page: "Page", secret: str = SECRET) -> None:
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def sign_in_at_provider(page: "Page", who: str) -> None:
    page.get_by_role("link", name="Sign in with").click()
    page.get_by_placeholder("sub").fill(who)
    page.get_by_role("button", name="Authorize", exact=True).click()


def test_person_signs_in_with_a_token_and_out_again(open_page: Open, member: LiveServer) -> None:
    tab = open_page("?sort=-size", at=member)
    assert tab.page.url.startswith(f"{member.url}/sign-in?next=")
    tab.expected.append("401")
    sign_in(tab.page, "hunter2")
    alert = tab.page.get_by_role("alert")
    assert "not a token that is valid" in alert.inner_text()
    assert "hunter2" not in tab.page.content()
    sign_in(tab.page)
    tab.page.wait_for_url(f"{member.url}/upload?sort=-size")
    assert "token ci" in tab.page.get_by_role("banner").inner_text()
    assert tab.page.evaluate("document.cookie") == ""
    cookies = tab.page.context.cookies()
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.wait_for_url(f"{member.url}/sign-in?**")
    tab.page.context.add_cookies(cookies)  # a copy is of no use any more
    tab.go("/upload")
    assert tab.page.url.startswith(f"{member.url}/sign-in?")


def test_person_signs_in_without_javascript(open_page: Open, member: LiveServer) -> None:
    tab = open_page(at=member, java_script_enabled=False)
    sign_in(tab.page)
    tab.page.wait_for_url(f"{member.url}/upload")
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.wait_for_url(f"{member.url}/sign-in?**")


def test_person_signs_in_at_the_provider(new_context: NewContext, member: LiveServer) -> None:
    page = new_context().new_page()
    page.goto(f"{member.url}/upload?sort=-size")
    sign_in_at_provider(page, "ada")
    page.wait_for_url(f"{member.url}/upload?sort=-size")
    assert "ada@example.org" in page.get_by_role("banner").inner_text()
    page.reload()
    assert "ada@example.org" in page.get_by_role("banner").inner_text()


@pytest.mark.thorough
def test_person_without_rights_reads_that_it_has_none(
    new_context: NewContext, member: LiveServer
) -> None:
    page = new_context().new_page()
    page.goto(f"{member.url}/upload")
    sign_in_at_provider(page, "somebody")
    page.wait_for_url(f"{member.url}/sign-in/oidc/callback?**")
    assert "somebody" in page.get_by_role("alert").inner_text()
    page.get_by_role("link", name="Back to the upload page").click()
    page.wait_for_url(f"{member.url}/sign-in?**")


def test_link_of_an_attacker_does_not_sign_in_a_browser_that_did_not_begin(
    new_context: NewContext, member: LiveServer
) -> None:
    attacker = new_context().new_page()
    attacker.goto(f"{member.url}/upload")
    attacker.route("**/sign-in/oidc/callback?**", lambda route: route.abort())
    with attacker.expect_request("**/sign-in/oidc/callback?**") as kept:
        sign_in_at_provider(attacker, "grace")
    victim = new_context().new_page()
    answer = victim.goto(kept.value.url)
    assert answer is not None
    assert answer.status == 400
    victim.goto(f"{member.url}/upload")
    assert victim.url.startswith(f"{member.url}/sign-in?")


@pytest.mark.thorough
def test_removed_group_changes_the_page_at_once(
    new_context: NewContext, member: LiveServer, access_file: AccessFileOnDisk
) -> None:
    page = new_context().new_page()
    page.goto(f"{member.url}/upload")
    sign_in_at_provider(page, "grace")
    page.wait_for_url(f"{member.url}/upload")
    try:
        access_file.write(CI + ADA)
        for _ in range(200):
            page.goto(f"{member.url}/upload")
            if page.url.startswith(f"{member.url}/sign-in?"):
                break
        assert page.url.startswith(f"{member.url}/sign-in?")
    finally:
        access_file.write(CI + ADA + STAFF)


def test_uploads_go_on_after_signing_in_again_in_another_tab(
    open_page: Open, member: LiveServer, make_file: Callable[..., Path]
) -> None:
    tab = open_page(at=member)
    sign_in(tab.page)
    tab.page.wait_for_url(f"{member.url}/upload")
    dialogs: list[object] = []
    tab.on("dialog", lambda dialog: dialogs.append(dialog))
    tab.expected.append("401")
    tab.network(MIB // 4)  # slow enough that it does not end before the person has signed out
    large, small = make_file("large.bmp", 12 * MIB), make_file("small.txt")
    tab.choose(large)
    tab.wait_until_sent("large.bmp", 0.02)
    own = {"Origin": member.url}
    tab.page.context.request.post(f"{member.url}/sign-out", headers=own)  # as in another tab
    tab.network()
    tab.wait_for("large.bmp", "paused")
    tab.choose(small)
    tab.wait_for("small.txt", "paused")
    notice = tab.page.locator("#signed-out")
    assert notice.is_visible()
    with tab.page.context.expect_page() as opened:
        notice.get_by_role("link").click()
    again = opened.value
    sign_in(again)
    again.wait_for_url(f"{member.url}/upload")
    tab.wait_for("large.bmp", "done")
    tab.wait_for("small.txt", "done")
    assert not notice.is_visible()
    assert dialogs == []
    assert member.published() == ["large.bmp", "small.txt"]


def test_list_of_a_page_that_is_signed_out_says_so(open_page: Open, member: LiveServer) -> None:
    (member.store / "a.txt").write_bytes(b"text")
    tab = open_page(at=member)
    sign_in(tab.page)
    tab.page.wait_for_url(f"{member.url}/upload")
    tab.expected.append("401")
    tab.page.context.request.post(f"{member.url}/sign-out", headers={"Origin": member.url})
    tab.page.get_by_role("link", name="Size").click()
    tab.page.locator("#signed-out").wait_for()
    assert "signed out" in tab.page.locator("#alert").inner_text()
    assert tab.names() == ["a.txt"]


SIGN_IN_FORM = """
([url, secret]) => {
  document.body.innerHTML = '<form method="post"><input name="token"></form>'
  const form = document.forms[0]
  form.action = `${url}/sign-in`
  form.elements.token.value = secret
  form.submit()
}
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    "policy", ["unsafe-url", pytest.param("no-referrer", marks=pytest.mark.thorough)]
)
def test_page_of_another_site_signs_nobody_in_as_somebody_else(
    new_context: NewContext,
    member: LiveServer,
    provider: IdentityProvider,
    policy: str,
) -> None:
    context = new_context()
    page = context.new_page()
    page.goto(provider.issuer)  # localhost is another site than 127.0.0.1
    page.evaluate(
        "policy => document.head.insertAdjacentHTML('beforeend',"
        " `<meta name=referrer content=${policy}>`)",
        policy,
    )
    with page.expect_navigation() as navigation:
        page.evaluate(SIGN_IN_FORM, [member.url, SECRET])
    assert navigation.value.status == 403
    assert context.cookies(member.url) == []


@pytest.mark.thorough
@pytest.mark.parametrize("width", [320, pytest.param(1440, marks=pytest.mark.thorough)])
def test_axe_finds_nothing_wrong_with_signing_in(
    open_page: Open,
    member: LiveServer,
    assert_accessible: Callable[[Watched], None],
    scheme: str,
    width: int,
) -> None:
    tab = open_page(at=member, color_scheme=scheme, viewport={"width": width, "height": 700})
    assert_accessible(tab)
    tab.expected.append("401")
    sign_in(tab.page, "wrong")
    tab.page.get_by_role("alert").wait_for()
    assert_accessible(tab)
    sign_in(tab.page)
    tab.page.wait_for_url(f"{member.url}/upload")
    tab.page.evaluate("document.getElementById('signed-out').hidden = false")
    assert_accessible(tab)


def test_form_is_filled_in_and_sent_by_keyboard(open_page: Open, member: LiveServer) -> None:
    tab = open_page(at=member)
    for _ in range(10):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.id") == "token":
            break
    tab.page.keyboard.type(SECRET)
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(f"{member.url}/upload")
