"""Uploads by guests, from the page of a link with scripts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import MIB
from tests.browser.watched import Watched
from tests.support.links import LinkMaker, MadeLink
from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

Make = Callable[..., Path]
OpenLink = Callable[[MadeLink], Watched]


@pytest.fixture
def links(server: LiveServer) -> LinkMaker:
    return LinkMaker.of(server)


@pytest.fixture
def open_link(
    new_context: "Callable[..., BrowserContext]", server: LiveServer
) -> Iterator[OpenLink]:
    """Open the page of a link in a tab that is watched, as a guest who has opened it before."""
    opened: list[Watched] = []
    context = new_context()

    def open_it(made: MadeLink) -> Watched:
        opened.append(Watched(context.new_page(), server.url))
        opened[-1].go(made.path)
        return opened[-1]

    yield open_it
    for tab in opened:
        tab.assert_in_order()


@pytest.mark.thorough  # test_link_pages.py has both sizes in one test
@pytest.mark.parametrize("size", [1000, 9 * MIB], ids=["small", "large"])
def test_the_files_of_a_guest_get_the_prefix_of_the_link(
    open_link: OpenLink, links: LinkMaker, make_file: Make, server: LiveServer, size: int
) -> None:
    tab = open_link(links.upload("from-ada-", password="correct horse"))
    tab.expected.append("401 (Unauthorized)")
    tab.page.fill("#password", "correct horse")
    tab.page.get_by_role("button", name="Continue").click()
    file = make_file("a.bmp", size)
    tab.choose(file)
    tab.wait_for("from-ada-a.bmp", "done")
    assert server.published() == ["from-ada-a.bmp"]
    assert (server.store / "from-ada-a.bmp").read_bytes() == file.read_bytes()
    assert tab.transfer("from-ada-a.bmp").get_by_role("link").count() == 0
    tab.page.reload()
    assert "Stored" in tab.transfer("from-ada-a.bmp").inner_text()


def test_a_guest_whose_name_is_taken_is_offered_another_one_and_not_to_replace_it(
    open_link: OpenLink, links: LinkMaker, make_file: Make, server: LiveServer
) -> None:
    (server.store / "from-ada-a.txt").write_bytes(b"x")
    tab = open_link(links.upload("from-ada-"))
    tab.expected.append("409 (Conflict)")
    tab.choose(make_file("a.txt"))
    tab.wait_for("from-ada-a.txt", "refused")
    assert tab.page.get_by_role("button", name="Replace").count() == 0
    tab.press("Store as “from-ada-a (2).txt”", "from-ada-a.txt")
    tab.wait_for("from-ada-a (2).txt", "done")
    assert server.published() == ["from-ada-a (2).txt", "from-ada-a.txt"]


def test_a_guest_resumes_an_upload_on_the_page_of_the_same_link_only(
    open_link: OpenLink, links: LinkMaker, make_file: Make, server: LiveServer
) -> None:
    one, other = links.upload("one-"), links.upload("other-")
    first = open_link(one)
    first.network(MIB // 4)  # slow enough that the tab is closed long before the end
    file = make_file("a.bmp", 12 * MIB)
    first.choose(file)
    first.wait_until_sent("one-a.bmp", 0.02)
    assert one.secret not in first.page.evaluate("JSON.stringify({...localStorage})")
    first.close()
    assert open_link(other).page.locator(".transfer").count() == 0
    second = open_link(one)
    second.expected += ["409 (Conflict)", "423 (Locked)"]
    assert second.transfer("one-a.bmp").count() == 1
    second.choose(file)
    second.wait_for("one-a.bmp", "done")
    assert second.offsets()[0] > 0
    assert (server.store / "one-a.bmp").read_bytes() == file.read_bytes()


def test_page_says_that_the_link_takes_no_more_files_or_is_gone(
    open_link: OpenLink, links: LinkMaker, make_file: Make, server: LiveServer
) -> None:
    made = links.upload("from-ada-", files=1)
    tab = open_link(made)
    tab.expected += ["507 (", "410 (Gone)"]
    tab.choose(make_file("a.txt"))
    tab.wait_for("from-ada-a.txt", "done")
    tab.choose(make_file("b.txt"))
    tab.wait_for("from-ada-b.txt", "refused")
    links.revoke(made)
    tab.choose(make_file("c.txt"))
    tab.wait_for("from-ada-c.txt", "refused")
    assert made.secret not in tab.page.locator("main").inner_text()
    assert server.published() == ["from-ada-a.txt"]
