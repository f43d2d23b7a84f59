"""Links on the page: made, copied, listed and revoked; and for guests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.watched import Watched
from tests.support.access import EditedAccessFile
from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

Open = Callable[..., Watched]
NewContext = Callable[..., "BrowserContext"]


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> EditedAccessFile:
    """People who may share: one for each test, who sees no links of others."""
    access = EditedAccessFile(tmp_path_factory.mktemp("access") / "access.toml")
    for number in range(20):
        access.set(f"ada-{number}", "list,read,write,share")
    return access


@pytest.fixture(scope="module")
def people(access: EditedAccessFile) -> Iterator[dict[str, str]]:
    return (access.credentials(f"ada-{number}") for number in range(20))


@pytest.fixture(scope="module")
def private_server(
    start_module_server: Callable[..., LiveServer], access: EditedAccessFile
) -> LiveServer:
    """A server that wants to know who asks."""
    return start_module_server(ANONYMOUS="none", ACCESS_FILE=str(access.path))


@pytest.fixture
def sharing(
    open_page: Open, private_server: LiveServer, people: Iterator[dict[str, str]]
) -> tuple[Watched, LiveServer, dict[str, str]]:
    """The page of somebody who may share, with one file."""
    credentials, server = next(people), private_server
    server.clear()
    (server.store / "report.txt").write_bytes(b"x")
    tab = open_page(
        at=server,
        extra_http_headers=credentials,
        permissions=["clipboard-read", "clipboard-write"],
    )
    return tab, server, credentials


def links_of(server: LiveServer, credentials: dict[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = httpx.get(f"{server.url}/links", headers=credentials).json()
    return found


def test_a_link_is_made_copied_listed_and_revoked(
    sharing: tuple[Watched, LiveServer, dict[str, str]],
    assert_accessible: Callable[..., None],
) -> None:
    tab, server, credentials = sharing
    tab.press("Share", "report.txt")
    dialog = tab.page.get_by_role("dialog", name="Share report.txt")
    assert_accessible(tab)
    dialog.get_by_label("Number of downloads").fill("3")
    dialog.get_by_label("Password").fill("hunter2")
    dialog.get_by_label("Note").fill("for Bob")
    dialog.get_by_role("button", name="Make a link and copy it").click()
    tab.page.get_by_text("Link copied").first.wait_for()
    url = dialog.get_by_label("Link", exact=True).input_value()
    assert url.startswith(f"{server.url}/s/")
    assert tab.page.evaluate("navigator.clipboard.readText()") == url
    words = dialog.locator(".made .secondary").inner_text()
    assert words.startswith("until ")
    assert words.endswith(" · 3 downloads left · with a password")
    assert dialog.locator("figure svg path").count() > 0
    assert_accessible(tab, "dialog")
    (link,) = links_of(server, credentials)
    assert (link["name"], link["uses"], link["note"]) == ("report.txt", 3, "for Bob")
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("document.activeElement.textContent") == "Share report.txt"
    tab.page.get_by_role("button", name="Links", exact=True).click()
    tab.page.get_by_text("for Bob · until").wait_for()
    assert_accessible(tab, "dialog")
    tab.page.get_by_role("button", name="Revoke link: report.txt").click()
    tab.page.get_by_text("The link is revoked: report.txt").first.wait_for()
    assert [link["state"] for link in links_of(server, credentials)] == ["revoked"]


def test_guests_are_asked_for_files(
    sharing: tuple[Watched, LiveServer, dict[str, str]],
) -> None:
    tab, server, credentials = sharing
    tab.page.get_by_role("button", name="Links", exact=True).click()
    tab.page.get_by_text("There are no links.").wait_for()
    tab.page.get_by_role("button", name="Ask for files").click()
    dialog = tab.page.get_by_role("dialog", name="Ask for files")
    dialog.get_by_label("Names begin with").fill("from-ada-")
    dialog.get_by_label("Number of files").fill("5")
    dialog.get_by_label("Size together").fill("0.5")
    dialog.get_by_role("button", name="Make a link and copy it").click()
    tab.page.get_by_text("Link copied").first.wait_for()
    words = dialog.locator(".made .secondary").inner_text()
    assert words.endswith(" · 5 files in all · 512.0 MiB together")
    (link,) = links_of(server, credentials)
    assert link["upload"] == {"prefix": "from-ada-", "files": 5, "bytes": 512 * 1024 * 1024}


@pytest.mark.thorough
def test_a_link_for_guests_has_no_limits_unless_they_are_filled_in(
    sharing: tuple[Watched, LiveServer, dict[str, str]],
) -> None:
    tab, server, credentials = sharing
    tab.page.get_by_role("button", name="Links", exact=True).click()
    tab.page.get_by_role("button", name="Ask for files").click()
    tab.page.get_by_label("Names begin with").fill("in-")
    made_link(tab)
    (link,) = links_of(server, credentials)
    assert link["upload"] == {"prefix": "in-", "files": None, "bytes": None}


def test_what_the_server_says_against_a_link_is_shown(
    sharing: tuple[Watched, LiveServer, dict[str, str]],
) -> None:
    tab, server, _ = sharing
    tab.expected.append("404 (Not Found)")
    tab.press("Share", "report.txt")
    (server.store / "report.txt").unlink()
    tab.page.get_by_role("button", name="Make a link and copy it").click()
    tab.page.get_by_role("dialog").get_by_role("alert").get_by_text("no file named").wait_for()
    tab.page.keyboard.press("Escape")


def test_one_selected_file_is_shared(
    sharing: tuple[Watched, LiveServer, dict[str, str]],
) -> None:
    tab, server, _ = sharing
    (server.store / "b.txt").write_bytes(b"x")
    tab.go("/upload")
    tab.page.get_by_role("checkbox", name="Select b.txt").click()
    share = tab.page.get_by_role("group", name="Selected files").get_by_text("Share")
    tab.page.get_by_role("checkbox", name="Select report.txt").click()
    assert not share.is_visible()  # a link is to one file
    tab.page.get_by_role("checkbox", name="Select report.txt").click()
    share.click()
    assert tab.page.get_by_role("dialog", name="Share b.txt").is_visible()


def made_link(tab: Watched) -> str:
    """Make the link of the dialog that is open, and return its URL."""
    tab.page.get_by_role("button", name="Make a link and copy it").click()
    tab.page.get_by_text("Link copied").first.wait_for()
    url = tab.page.get_by_role("dialog").get_by_label("Link", exact=True).input_value()
    tab.page.keyboard.press("Escape")
    return url


def test_what_its_maker_shares_a_stranger_downloads_and_the_maker_sees_it(
    sharing: tuple[Watched, LiveServer, dict[str, str]], new_context: NewContext
) -> None:
    tab, server, _ = sharing
    tab.press("Share", "report.txt")
    tab.page.get_by_role("dialog").get_by_label("Number of downloads").fill("2")
    url = made_link(tab)
    stranger = Watched(new_context().new_page(), server.url)
    stranger.page.goto(url)
    with stranger.page.expect_download() as started:
        stranger.page.get_by_role("link", name="Download").click()
    assert Path(started.value.path()).read_bytes() == b"x"
    tab.page.get_by_role("button", name="Links", exact=True).click()
    tab.page.get_by_text("1 download left").wait_for()
    stranger.assert_in_order()


@pytest.mark.thorough
def test_whom_its_maker_asks_for_files_sends_them_and_the_maker_sees_them(
    sharing: tuple[Watched, LiveServer, dict[str, str]],
    new_context: NewContext,
    assert_accessible: Callable[..., None],
) -> None:
    tab, server, credentials = sharing
    tab.page.get_by_role("button", name="Links", exact=True).click()
    tab.page.get_by_role("button", name="Ask for files").click()
    tab.page.get_by_role("dialog", name="Ask for files").get_by_label("Names begin with").fill(
        "in-"
    )
    url = made_link(tab)
    guest = Watched(new_context().new_page(), server.url)
    guest.page.goto(url)
    guest.page.set_input_files(
        "#file", {"name": "plan.txt", "mimeType": "text/plain", "buffer": b"a plan\n"}
    )
    guest.page.get_by_text("Stored, 7 bytes").wait_for()
    assert (server.store / "in-plan.txt").read_bytes() == b"a plan\n"
    tab.page.reload()
    tab.page.get_by_role("link", name="in-plan.txt", exact=True).wait_for()
    tab.page.get_by_role("button", name="Links", exact=True).click()
    dialog = tab.page.get_by_role("dialog", name="Links")
    dialog.get_by_text("1 file received").click()
    dialog.get_by_text("in-plan.txt, 7 bytes").wait_for()
    assert_accessible(tab, "dialog")
    address = dialog.get_by_role("link", name="in-plan.txt").evaluate("(link) => link.href")
    assert httpx.get(address, headers=credentials).content == b"a plan\n"
    dialog.get_by_role("button", name="Revoke link").click()
    tab.page.get_by_text("The link is revoked").first.wait_for()
    assert tab.page.evaluate("document.activeElement.textContent") == "Close"
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="Links", exact=True).click()
    dialog.get_by_text("not valid any more").wait_for()
    dialog.get_by_text("1 file received").click()
    dialog.get_by_text("in-plan.txt, 7 bytes").wait_for()
    guest.assert_in_order()
