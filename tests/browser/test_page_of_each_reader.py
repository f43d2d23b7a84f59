"""The page of a reader who may not do everything: its scripts cope with what is not there."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import MIB
from tests.browser.watched import Watched
from tests.support.access import EditedAccessFile
from tests.support.servers import LiveServer

Open = Callable[..., Watched]
Make = Callable[..., Path]
Start = Callable[..., LiveServer]


@pytest.fixture(scope="module")
def servers(
    start_module_server: Start, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], LiveServer]:
    """Return the server where anybody has these scopes."""

    @functools.cache
    def server(scopes: str) -> LiveServer:
        directory = tmp_path_factory.mktemp("scopes")
        return start_module_server(ANONYMOUS=scopes, STORE_URL=str(directory / "store"))

    return server


@pytest.fixture
def start(
    servers: Callable[[str], LiveServer], sample: Callable[[str], Path]
) -> Callable[[str], LiveServer]:
    """Return a server with one picture, where anybody has these scopes."""

    def start_it(scopes: str) -> LiveServer:
        server = servers(scopes)
        server.clear()
        shutil.copyfile(sample("img.png"), server.store / "img.png")
        return server

    return start_it


@pytest.mark.parametrize(
    "size",
    [pytest.param(1000, id="small"), pytest.param(9 * MIB, id="large", marks=pytest.mark.thorough)],
)
def test_someone_who_may_only_write_uploads_and_asks_for_nothing_else(
    open_page: Open, make_file: Make, start: Callable[[str], LiveServer], size: int
) -> None:
    server = start("write")
    tab = open_page(at=server)
    tab.choose(make_file("a.bmp", size))
    tab.wait_for("a.bmp", "done")
    assert server.published() == ["a.bmp", "img.png"]
    row = tab.transfer("a.bmp")
    assert row.get_by_role("link").count() == 0
    assert row.get_by_role("button", name="Copy link").count() == 0
    assert "img.png" not in tab.page.content()
    paths = {request.url.removeprefix(server.url).partition("/")[2] for request in tab.requests}
    assert not any(path.startswith("download") for path in paths)


def test_a_taken_name_is_reported_to_someone_who_may_only_write(
    open_page: Open, make_file: Make, start: Callable[[str], LiveServer], tmp_path: Path
) -> None:
    tab = open_page(at=start("write"))
    tab.expected.append("409 (Conflict)")
    tab.choose(make_file("a.bmp").rename(tmp_path / "img.png"))
    tab.wait_for("img.png", "refused")
    assert "There is already a file named" in tab.transfer("img.png").inner_text()


def test_files_dropped_on_a_page_without_a_form_are_left_to_the_browser(
    open_page: Open, make_file: Make, start: Callable[[str], LiveServer]
) -> None:
    server = start("list,read")
    tab = open_page(at=server)
    tab.drop(make_file("a.txt"))
    assert tab.page.locator("body.dragging").count() == 0
    assert tab.page.locator(".transfer").count() == 0
    assert server.published() == ["img.png"]


@pytest.mark.parametrize(
    "scopes",
    [
        "list,read",
        *(
            pytest.param(some, marks=pytest.mark.thorough)
            for some in ("list", "list,delete", "list,write")
        ),
    ],
)
def test_a_reader_with_some_rights_can_search_and_use_them(
    open_page: Open, start: Callable[[str], LiveServer], scopes: str
) -> None:
    server = start(scopes)
    tab = open_page(at=server, permissions=["clipboard-read", "clipboard-write"])
    search = tab.page.get_by_role("searchbox")
    search.fill("nothing")
    tab.page.locator("#files", has_text="No file has “nothing” in its name.").wait_for()
    search.fill("img")
    tab.page.locator("tbody tr").wait_for()
    assert tab.names() == ["img.png"]
    buttons = tab.page.locator("tbody [data-do]").evaluate_all("all => all.map(e => e.dataset.do)")
    expected = ["preview", "copy", "curl"] * ("read" in scopes) + ["delete"] * ("delete" in scopes)
    assert buttons == (["more", *expected] if expected else [])
    if "read" in scopes:
        tab.press("Copy link", "to img.png")
        tab.page.wait_for_function(
            "url => navigator.clipboard.readText().then(text => text === url)",
            arg=f"{server.url}/download/img.png",
        )
        tab.page.get_by_role("link", name="Preview img.png").click()
        tab.page.wait_for_function("() => document.querySelector('dialog img').naturalWidth > 0")
    if "delete" in scopes:
        tab.keep_messages()
        tab.press("Delete", "img.png")
        tab.page.get_by_role("button", name="Hide this message").last.click()
        tab.page.locator("tbody tr").wait_for(state="detached")
        assert server.published() == []


def test_a_page_with_nothing_on_it_runs_without_errors(
    open_page: Open, start: Callable[[str], LiveServer]
) -> None:
    tab = open_page(at=start("read"))
    tab.page.get_by_text("You may neither list nor upload files here.").wait_for()
    tab.page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")


def test_a_reader_with_a_prefix_sees_and_uploads_only_names_that_begin_with_it(
    open_page: Open, make_file: Make, start_server: Start, tmp_path: Path
) -> None:
    access = EditedAccessFile(tmp_path / "access.toml")
    credentials = access.set("ci", "list,read,write,delete", prefix="ci-")
    server = start_server(WORKERS="1", ANONYMOUS="none", ACCESS_FILE=str(access.path))
    for name in ("ci-a.txt", "other.txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page(at=server, extra_http_headers=credentials)
    assert tab.names() == ["ci-a.txt"]
    assert "begin with “ci-”" in tab.page.locator("#allowed").inner_text()
    tab.choose(make_file("new.txt"), make_file("ci-new.txt"))
    tab.wait_for("ci-new.txt", "done")
    tab.wait_for("new.txt", "refused")
    assert "does not begin with “ci-”" in tab.transfer("new.txt").inner_text()
    assert not any(request.url.endswith("/upload/new.txt") for request in tab.requests)
    # The page may look for what others have stored before it shows the newest first.
    tab.page.locator("tbody tr:first-child", has_text="ci-new.txt").wait_for()
    assert tab.names() == ["ci-new.txt", "ci-a.txt"]  # the newest first
    tab.page.get_by_role("searchbox").fill("other")
    tab.page.locator("#files", has_text="No file has “other” in its name.").wait_for()
    assert server.published() == ["ci-a.txt", "ci-new.txt", "other.txt"]
