"""Files that are selected and deleted on the page."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.watched import Watched
from tests.support.servers import LiveServer
from tests.support.wire import eventually

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

Open = Callable[..., Watched]


def test_a_deletion_can_be_undone(open_page: Open, server: LiveServer) -> None:
    for name in ("a.txt", "b.txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page()
    tab.keep_messages()
    tab.press("Delete", "a.txt")
    tab.page.get_by_text("a.txt is being deleted").first.wait_for()
    assert tab.page.evaluate("document.activeElement.textContent") == "Delete b.txt"
    assert tab.page.locator("tbody tr:visible").count() == 1
    tab.page.get_by_role("button", name="Undo").click()
    assert tab.page.evaluate("document.activeElement.textContent") == "Delete a.txt"
    tab.press("Delete", "b.txt")
    tab.page.keyboard.press("Control+z")
    assert tab.page.locator("tbody tr:visible").count() == 2
    assert tab.page.locator(".message").count() == 0
    assert server.published() == ["a.txt", "b.txt"]
    assert not [request for request in tab.requests if request.method == "DELETE"]


def test_a_file_is_deleted_when_its_message_is_gone(
    open_page: Open, new_context: Callable[..., "BrowserContext"], server: LiveServer
) -> None:
    for name in ("a.txt", "b.txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page(context=new_context())  # whose clock the test sets
    tab.page.clock.install(time=0)
    tab.page.clock.pause_at(3600)
    tab.press("Delete", "a.txt")
    tab.page.clock.run_for(6_900)
    assert server.published() == ["a.txt", "b.txt"]
    tab.page.clock.run_for(200)
    tab.page.locator("#status", has_text="a.txt is deleted").wait_for(state="attached")
    assert server.published() == ["b.txt"]


def test_files_are_deleted_although_the_page_is_left_at_once(
    open_page: Open, server: LiveServer
) -> None:
    for name in ("a.txt", "b.txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page()
    tab.press("Delete", "a.txt")
    tab.go("/sign-in")
    eventually(lambda: server.published() == ["b.txt"])


def test_a_name_is_free_for_an_upload_as_soon_as_its_file_is_deleted_on_the_page(
    open_page: Open, server: LiveServer, tmp_path: Path
) -> None:
    (server.store / "a.txt").write_bytes(b"x")
    (tmp_path / "a.txt").write_bytes(b"another")
    tab = open_page()
    tab.press("Delete", "a.txt")
    tab.choose(tmp_path / "a.txt")
    tab.wait_for("a.txt", "done")
    assert (server.store / "a.txt").read_bytes() == b"another"


def test_a_file_that_was_replaced_meanwhile_is_not_deleted(
    open_page: Open, server: LiveServer
) -> None:
    path = server.store / "a.txt"
    path.write_bytes(b"x")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    tab = open_page()
    tab.keep_messages()
    tab.expected.append("412 (Precondition Failed)")
    tab.press("Delete", "a.txt")
    path.unlink()
    path.write_bytes(b"another")
    tab.page.get_by_role("button", name="Hide this message").click()
    message = tab.page.locator(".message[data-kind=bad]")
    message.wait_for()
    assert "a.txt is still there. It was replaced meanwhile." in message.inner_text()
    tab.page.get_by_role("link", name="a.txt", exact=True).wait_for()
    assert server.published() == ["a.txt"]


def test_a_failed_deletion_is_shown_and_the_file_again(open_page: Open, server: LiveServer) -> None:
    (server.store / "a.txt").write_bytes(b"x")
    tab = open_page()
    tab.keep_messages()
    tab.expected.append("ERR_INTERNET_DISCONNECTED")
    tab.press("Delete", "a.txt")
    tab.network(offline=True)
    tab.page.get_by_role("button", name="Hide this message").click()
    tab.page.get_by_text("The server cannot be reached.").first.wait_for()
    assert tab.page.get_by_role("link", name="a.txt", exact=True).is_visible()


def test_several_files_are_selected_by_pointer_and_keyboard(
    open_page: Open, many: Callable[[int], None], server: LiveServer
) -> None:
    many(6)
    tab = open_page()
    boxes = tab.page.locator("tbody .select input")
    bar = tab.page.get_by_role("group", name="Selected files")

    def selected() -> list[int]:
        return [index for index, box in enumerate(boxes.all()) if box.is_checked()]

    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    assert selected() == [1, 2, 3]
    assert bar.locator("p").inner_text().startswith("3 selected · ")
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Shift+ArrowDown")
    assert selected() == [1, 2, 3, 4, 5]
    tab.page.keyboard.press("Escape")
    assert selected() == []
    assert not bar.is_visible()
    tab.page.keyboard.press("Control+a")
    assert selected() == list(range(6))
    tab.page.get_by_role("checkbox", name="Select all files on this page").click()
    assert selected() == []
    boxes.nth(0).click()
    boxes.nth(5).click()
    (server.store / "file-00005.txt").unlink()
    tab.page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    tab.page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 5")
    assert selected() == [0]  # of the files that are still there


def test_selected_files_are_deleted_together(
    open_page: Open, many: Callable[[int], None], server: LiveServer
) -> None:
    many(3)
    tab = open_page()
    tab.keep_messages()
    for number in (0, 2):
        tab.page.get_by_role("checkbox", name=f"Select file-0000{number}.txt").click()
    tab.page.get_by_role("group", name="Selected files").get_by_text("Delete").click()
    tab.page.get_by_text("2 files are being deleted").first.wait_for()
    tab.page.get_by_role("button", name="Hide this message").click()
    eventually(lambda: server.published() == ["file-00001.txt"])
