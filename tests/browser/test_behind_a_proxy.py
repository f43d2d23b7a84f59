"""The page behind nginx, under a path: all requests of the page are below that path."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import MIB
from tests.browser.watched import Watched, assert_stored
from tests.support.reverse_proxies import ProxiedServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

Make = Callable[..., Path]


def assert_all_below(tab: Watched, base: str) -> None:
    asked = {request.url for request in tab.requests}
    assert not [url for url in asked if not url.startswith((f"{base}/", "chrome", "blob:"))]


def test_files_are_uploaded_listed_seen_and_deleted(
    behind: ProxiedServer, open_page: Callable[..., Watched], make_file: Make
) -> None:
    tab = open_page(at=behind)
    small, large = make_file("small.txt"), make_file("large.bmp", 9 * MIB)
    tab.choose(small, large)
    tab.wait_for("small.txt", "done")
    tab.wait_for("large.bmp", "done")
    assert_stored(behind.url, [small, large])
    methods = {request.method for request in tab.requests}
    assert {"PUT", "POST", "PATCH"} <= methods
    for name in ("small.txt", "large.bmp"):
        link = tab.transfer(name).get_by_role("link").evaluate("link => link.href")
        assert link == f"{behind.url}/download/{name}"
    # A click is lost where the list is replaced between its two halves.
    for name in ("small.txt", "large.bmp"):
        tab.page.locator("tbody th", has_text=name).wait_for()
    tab.page.get_by_role("link", name="Size").click()
    tab.page.locator("th[aria-sort]", has_text="Size").wait_for()
    assert tab.page.url.startswith(f"{behind.url}/upload?sort=")
    tab.keep_messages()
    tab.page.get_by_role("link", name="Preview small.txt").click()
    tab.page.locator("#preview pre").get_by_text(small.read_text()[:20]).wait_for()
    tab.page.keyboard.press("Escape")
    tab.press("Delete", "small.txt")
    tab.page.get_by_role("button", name="Hide this message").last.click()
    tab.page.locator("#files").get_by_text("small.txt").first.wait_for(state="detached")
    assert behind.server.published() == ["large.bmp"]
    assert_all_below(tab, behind.url)


@pytest.mark.thorough
@pytest.mark.parametrize("behind", ["forwarded fields"], indirect=True)
def test_an_upload_is_resumed_after_the_page_was_closed(
    behind: ProxiedServer,
    open_page: Callable[..., Watched],
    new_context: "Callable[..., BrowserContext]",
    make_file: Make,
) -> None:
    context, file = new_context(), make_file("large.bmp", 12 * MIB)
    tab = open_page(at=behind, context=context)
    tab.network(MIB // 4)  # slow enough that the page is closed long before the end
    tab.choose(file)
    tab.wait_until_sent("large.bmp", 0.02)
    tab.close()
    again = open_page(at=behind, context=context)
    again.choose(file)
    again.wait_for("large.bmp", "done")
    assert_stored(behind.url, [file])
    assert {request.method for request in again.requests} >= {"HEAD", "PATCH"}
    assert_all_below(again, behind.url)


@pytest.mark.thorough
def test_the_form_leads_back_to_the_page_without_scripts(
    behind: ProxiedServer, open_page: Callable[..., Watched], make_file: Make
) -> None:
    tab = open_page(at=behind, java_script_enabled=False)
    tab.choose(make_file("a.txt"))
    tab.page.get_by_role("button", name="Upload").click()
    tab.page.get_by_text("Stored: a.txt").wait_for()
    assert tab.page.url == f"{behind.url}/upload"
    tab.page.reload()
    assert tab.page.get_by_text("Stored: a.txt").count() == 0
    tab.expected.append("415")
    tab.choose(make_file("b.exe"))
    tab.page.get_by_role("button", name="Upload").click()
    tab.page.get_by_role("link", name="Back to the upload page").click()
    tab.page.wait_for_url(f"{behind.url}/upload")
    assert_all_below(tab, behind.url)
