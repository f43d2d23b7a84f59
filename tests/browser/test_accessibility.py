"""The page without JavaScript, by keyboard, with a screen reader, and in light and dark."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fileservice.web.localization import LANGUAGES
from tests.browser.conftest import MIB
from tests.browser.watched import Watched, assert_stored
from tests.support.access import EditedAccessFile
from tests.support.servers import ROOT, LiveServer

ASSETS = sorted((ROOT / "fileservice" / "web" / "static").iterdir())
OF_OTHER_PAGES = {"docs.css", "small_pages.css"}
"""Assets that the page with the files does not load."""
Open = Callable[..., Watched]
Make = Callable[..., Path]


def test_axe_finds_nothing_wrong_in_any_state_of_the_page(
    open_page: Open,
    make_file: Make,
    server: LiveServer,
    sample: Callable[[str], Path],
    assert_accessible: Callable[..., None],
    scheme: str,
) -> None:
    tab = open_page(color_scheme=scheme)
    assert_accessible(tab)  # empty
    tab.choose(make_file("a.txt"), make_file("b.exe"))
    tab.wait_for("a.txt", "done")
    tab.wait_for("b.exe", "refused")
    assert_accessible(tab)
    tab.network(MIB // 16)  # the upload must not end while axe looks at it
    tab.choose(make_file("c.bmp", 12 * MIB))
    tab.wait_until_sent("c.bmp", 0.01)
    assert_accessible(tab)  # sending
    tab.press("Pause", "c.bmp")
    tab.wait_for("c.bmp", "paused")
    tab.page.evaluate("document.body.classList.add('dragging')")
    assert_accessible(tab)
    tab.page.evaluate("document.body.classList.remove('dragging')")
    tab.press("Cancel", "c.bmp")
    for name in ("note.txt", "img.png", "t.csv"):
        (server.store / name).write_bytes(sample(name).read_bytes())
    tab.go("/upload?sort=-size")
    assert_accessible(tab)
    tab.keep_messages()
    tab.page.get_by_role("checkbox", name="Select img.png").click()
    tab.press("Delete", "a.txt")
    assert_accessible(tab)  # with a message, and the bar for what is selected
    tab.page.get_by_role("button", name="Undo").click()
    for name, part in (("img.png", "img"), ("note.txt", "pre"), ("t.csv", "table")):
        tab.page.get_by_role("link", name=f"Preview {name}").click()
        tab.page.locator(f"dialog {part}").wait_for()
        assert_accessible(tab, "dialog")
        tab.page.keyboard.press("Escape")
    tab.go("/upload?q=nothing")
    assert_accessible(tab)


@pytest.mark.thorough
@pytest.mark.parametrize("width", [320, pytest.param(768, marks=pytest.mark.thorough)])
def test_axe_finds_nothing_wrong_on_small_screens(
    open_page: Open,
    server: LiveServer,
    sample: Callable[[str], Path],
    assert_accessible: Callable[[Watched], None],
    width: int,
    scheme: str,
) -> None:
    for name in ("note.txt", "img.png"):
        (server.store / name).write_bytes(sample(name).read_bytes())
    tab = open_page(color_scheme=scheme, viewport={"width": width, "height": 700})
    assert_accessible(tab)
    if width == 320:
        tab.press("Actions for", "img.png")
        assert_accessible(tab)


def test_without_javascript_the_page_lists_uploads_and_explains(
    open_page: Open,
    make_file: Make,
    server: LiveServer,
    assert_accessible: Callable[[Watched], None],
    scheme: str,
) -> None:
    tab = open_page(java_script_enabled=False, color_scheme=scheme)
    file = make_file("a.txt")
    tab.choose(file)
    with tab.page.expect_navigation():
        tab.page.get_by_role("button", name="Upload", exact=True).click()
    assert "Stored: a.txt" in tab.page.get_by_role("status").first.inner_text()
    assert tab.names() == ["a.txt"]
    assert_stored(server.url, [file])
    tab.choose(make_file("b.exe"))
    tab.expected.append("415")
    tab.page.get_by_role("button", name="Upload", exact=True).click()
    assert ".exe" in tab.page.get_by_role("alert").inner_text()
    tab.page.get_by_role("link", name="Back to the upload page").click()
    tab.page.get_by_role("searchbox").fill("nothing")
    with tab.page.expect_navigation():
        tab.page.get_by_role("button", name="Find").click()
    assert "No file has “nothing” in its name" in tab.page.locator("#files").inner_text()
    assert tab.page.get_by_role("button", name="Delete").count() == 0


@pytest.mark.thorough
def test_an_error_page_is_accessible_too(
    open_page: Open, assert_accessible: Callable[[Watched], None], scheme: str
) -> None:
    tab = open_page(color_scheme=scheme)
    tab.expected.append("404 (Not Found)")
    tab.go("/download/nothing.txt")
    assert "no file named" in tab.page.get_by_role("alert").inner_text()
    assert_accessible(tab)


@pytest.mark.thorough
def test_the_description_of_the_api_is_accessible_too(
    open_page: Open, assert_accessible: Callable[[Watched], None], scheme: str
) -> None:
    tab = open_page(color_scheme=scheme)
    tab.go("/docs")
    tab.page.locator("summary").first.press("Enter")
    tab.page.get_by_role("link", name="File", exact=True).first.click()
    assert tab.page.evaluate("document.querySelector(':target').id") == "File"
    assert_accessible(tab)


def test_everything_can_be_done_by_keyboard(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    (server.store / "z.txt").write_bytes(b"x")
    tab = open_page()
    keyboard = tab.page.keyboard

    def tab_to(what: str) -> None:
        for _ in range(40):
            keyboard.press("Tab")
            focused = tab.page.evaluate(
                "document.activeElement.id || document.activeElement.textContent"
            )
            if focused == what:
                return
        raise AssertionError(f"the Tab key never comes to {what}")

    # Playwright takes a moment to catch choosers, and without this begins when it is too late.
    tab.on("filechooser", lambda _: None)
    tab_to("file")
    with tab.page.expect_file_chooser() as chooser:
        keyboard.press("Space")
    chooser.value.set_files([str(make_file("a.txt"))])
    tab.wait_for("a.txt", "done")
    tab_to("Dismiss a.txt")
    keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "file"
    tab.page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 2")
    tab_to("q")
    keyboard.type("z.t")
    tab.page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
    tab_to("Preview z.txt")
    keyboard.press("Enter")
    tab.page.locator("dialog[open] pre").wait_for()
    tab_to("Close")
    keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.textContent") == "Preview z.txt"
    tab.keep_messages()
    tab_to("Delete z.txt")
    keyboard.press("Enter")
    tab_to("Undo")
    keyboard.press("Tab")
    keyboard.press("Enter")  # hides the message, and so ends the time in which it can be undone
    tab.page.get_by_text("No file has").first.wait_for()
    assert server.published() == ["a.txt"]


def test_the_focused_element_has_an_outline(open_page: Open, server: LiveServer) -> None:
    (server.store / "z.txt").write_bytes(b"x")
    tab = open_page()
    seen = set()
    for _ in range(12):
        tab.page.keyboard.press("Tab")
        outline = tab.page.evaluate(
            "[document.activeElement, document.activeElement.closest('.dropzone')]"
            ".filter(Boolean).map((element) => getComputedStyle(element).outlineWidth)"
        )
        assert "3px" in outline
        seen.add(tab.page.evaluate("document.activeElement.outerHTML"))
    assert len(seen) > 8


def test_progress_and_results_are_announced_to_screen_readers(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.page.evaluate(
        "window.said = []; for (const id of ['status', 'alert']) new MutationObserver(() =>"
        " said.push(`${id}: ${document.getElementById(id).textContent}`))"
        ".observe(document.getElementById(id), { childList: true })"
    )
    tab.network(MIB)  # the page looks at the progress now and then, which must not be too late
    tab.choose(make_file("a.bmp", 12 * MIB), make_file("b.exe"))
    tab.page.wait_for_function("() => said.some((text) => text.includes('%'))")
    tab.network()
    tab.wait_for("a.bmp", "done")
    tab.wait_for("b.exe", "refused")
    said = tab.page.evaluate("said")
    assert "status: a.bmp is stored" in said
    assert any("alert: b.exe was not stored" in text for text in said)
    assert any(f"status: a.bmp: {share}%" in said for share in (25, 50, 75))


def test_reduced_motion_switches_transitions_off(open_page: Open) -> None:
    tab = open_page(reduced_motion="reduce")
    durations = tab.page.evaluate(
        "[...document.querySelectorAll('*')].map((element) =>"
        " getComputedStyle(element).transitionDuration)"
    )
    assert set(durations) == {"0s"}


def test_the_page_with_all_its_assets_is_small_for_whoever_may_do_everything(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    access = EditedAccessFile(tmp_path / "access.toml")
    rights = access.set("ada", "list,read,write,delete,share,admin")
    server = start_server(WORKERS="1", ACCESS_FILE=str(access.path))
    (server.store / "note.txt").write_bytes(b"x")
    for language in LANGUAGES:
        headers = {"Accept-Language": language, "Accept-Encoding": "identity", **rights}
        with httpx.Client(base_url=server.url, headers=headers) as client:
            page = client.get("/upload").text
            assert f'lang="{language}"' in page
            assert "note.txt" in page
            assert not any(name in page for name in OF_OTHER_PAGES)
            names = {path.name for path in ASSETS} - OF_OTHER_PAGES
            answers = [client.get(f"/assets/{version_in(page)}/{name}") for name in sorted(names)]
        assert {answer.headers.get("Content-Encoding") for answer in answers} == {None}
        assert len(page.encode()) + sum(len(answer.content) for answer in answers) < 100 * 1024


def test_assets_are_immutable(server: LiveServer) -> None:
    with server.client() as client:
        version = version_in(client.get("/upload").text)
        answers = [
            (
                client.get(f"/assets/{version}/{path.name}"),
                client.get(f"/assets/0000000000000000/{path.name}"),
            )
            for path in ASSETS
        ]
    for answer, outdated in answers:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert outdated.status_code == 404
        assert "immutable" not in outdated.headers.get("Cache-Control", "")


def version_in(page: str) -> str:
    return page.partition("/assets/")[2].partition("/")[0]


def test_the_policy_allows_nothing_inline_and_no_other_host(server: LiveServer) -> None:
    policy = httpx.get(f"{server.url}/upload").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    sources = {word for part in policy.split(";") for word in part.split()[1:]}
    assert sources == {"'none'", "'self'"}
