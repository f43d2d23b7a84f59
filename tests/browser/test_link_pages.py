"""The pages of links in Chromium: from the page to the file, in the browsers of strangers."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.watched import Watched
from tests.support.links import LinkMaker
from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

NewContext = Callable[..., "BrowserContext"]
TEXT = "some text\n"
PLAIN = "http://files.example"
"""A host that is reached without encryption and is not this machine, so that browsers say less."""


@pytest.fixture
def links(server: LiveServer) -> LinkMaker:
    (server.store / "plan.txt").write_text(TEXT)
    return LinkMaker.of(server)


def test_stranger_downloads_the_file_and_the_next_one_comes_too_late(
    server: LiveServer, links: LinkMaker, new_context: NewContext
) -> None:
    made = links.download("plan.txt", 1, seconds=90_000)
    tabs = [Watched(new_context().new_page(), server.url) for _ in range(2)]
    for tab in tabs:
        tab.go(made.path)
        assert tab.page.title() == "plan.txt"
        assert tab.page.is_visible("text=one more download")
        assert tab.page.is_visible("text=1 day more")
    with tabs[0].page.expect_download() as started:
        tabs[0].page.click("text=Download")
    assert started.value.suggested_filename == "plan.txt"
    assert Path(started.value.path()).read_text() == TEXT
    tabs[1].expected.append("410")
    # The browser asks with the attribute `download`, and says that there is nothing to save.
    tabs[1].go(made.path)
    assert tabs[1].page.is_visible("text=not valid any more")
    assert made.secret not in tabs[1].page.title()
    for tab in tabs:
        tab.assert_in_order()


@pytest.mark.parametrize(
    "scripts",
    [pytest.param(True, marks=pytest.mark.thorough), False],
    ids=["scripts", "no scripts"],
)
def test_stranger_says_the_password_and_downloads_over_a_plain_connection(
    server: LiveServer, links: LinkMaker, new_context: NewContext, scripts: bool
) -> None:
    made = links.download("plan.txt", password="correct horse")
    context = new_context(proxy={"server": server.url}, java_script_enabled=scripts)
    page = context.new_page()
    page.goto(PLAIN + made.path)
    assert page.locator("#password").evaluate("field => field === document.activeElement")
    for password in ("a guess", "correct horse"):
        page.fill("#password", password)
        with page.expect_navigation():
            page.click("text=Continue")
        assert page.is_visible('[role="alert"]') is (password == "a guess")
    with page.expect_download() as started:
        page.click("text=Download")
    assert Path(started.value.path()).read_text() == TEXT


@pytest.mark.parametrize(
    "base", ["", pytest.param(PLAIN, marks=pytest.mark.thorough)], ids=["", "plain"]
)
def test_guest_sends_files_and_sees_that_they_have_arrived(
    server: LiveServer,
    links: LinkMaker,
    new_context: NewContext,
    make_file: Callable[..., Path],
    base: str,
) -> None:
    made = links.upload("from-ada-", password="correct horse")
    proxy = {"proxy": {"server": server.url}} if base else {}
    page = new_context(java_script_enabled=False, **proxy).new_page()
    page.goto((base or server.url) + made.path)
    page.fill("#password", "correct horse")
    page.click("text=Continue")
    for name in ("one.txt", "two.txt"):
        page.set_input_files("#file", str(make_file(name)))
        with page.expect_navigation():
            page.click("button:text('Send')")
        assert page.is_visible(f"text=from-ada-{name} has arrived")
    assert page.locator("#sent li").count() == 2
    page.set_input_files("#file", str(make_file("one.txt")))
    with page.expect_navigation():
        page.click("button:text('Send')")
    assert page.is_visible("text=The name is taken")
    with page.expect_navigation():
        page.click("text=Back")
    assert page.locator("#sent li").count() == 2
    assert server.published() == ["from-ada-one.txt", "from-ada-two.txt", "plan.txt"]


def test_guest_sends_several_files_with_scripts_and_sees_them_after_a_reload(
    server: LiveServer,
    links: LinkMaker,
    new_context: NewContext,
    make_file: Callable[..., Path],
    assert_accessible: Callable[[Watched], None],
) -> None:
    made = links.upload("from-ada-", password="correct horse")
    tab = Watched(new_context().new_page(), server.url)
    tab.expected.append("401")  # until the password is known
    tab.go(made.path)
    tab.page.fill("#password", "correct horse")
    tab.page.click("text=Continue")
    tab.page.locator("#file[multiple]").wait_for(state="attached")  # the script has run
    files = {name: make_file(name, size) for name, size in (("one.txt", 9), ("a.bmp", 9 << 20))}
    tab.choose(*files.values())
    for name, file in files.items():
        tab.wait_for(f"from-ada-{name}", "done")
        assert (server.store / f"from-ada-{name}").read_bytes() == file.read_bytes()
        assert tab.transfer(f"from-ada-{name}").get_by_role("link").count() == 0
    assert_accessible(tab)
    assert server.published() == ["from-ada-a.bmp", "from-ada-one.txt", "plan.txt"]
    tab.page.reload()
    tab.page.get_by_text("from-ada-one.txt").first.wait_for()
    tab.assert_in_order()


def test_browser_sends_no_referer_from_the_page_of_a_link(
    server: LiveServer, links: LinkMaker, new_context: NewContext
) -> None:
    made = links.download("plan.txt")
    tab = Watched(new_context().new_page(), server.url)
    tab.go(made.path)
    tab.page.evaluate("location.href = '/upload'")
    tab.page.wait_for_url("**/upload")
    assert tab.page.evaluate("document.referrer") == ""
    assert not [one for one in tab.requests if made.secret in one.headers.get("referer", "")]


@pytest.mark.thorough
@pytest.mark.parametrize("width", [320, pytest.param(1280, marks=pytest.mark.thorough)])
def test_pages_of_links_are_accessible(
    server: LiveServer,
    links: LinkMaker,
    new_context: NewContext,
    assert_accessible: Callable[[Watched], None],
    scheme: str,
    width: int,
) -> None:
    gone = links.download("plan.txt")
    links.revoke(gone)
    context = new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    tab = Watched(context.new_page(), server.url)
    for made in (
        links.download("plan.txt", 3, seconds=1000),
        links.download("plan.txt", password="correct horse"),
        links.upload(files=3, seconds=1000),
        gone,
    ):
        tab.go(made.path)
        for summary in tab.page.locator("summary").all():
            summary.click()
        assert_accessible(tab)
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert tab.page.evaluate(fits)
