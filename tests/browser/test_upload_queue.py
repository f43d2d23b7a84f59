"""Many uploads at once: early refusals, taken names, folders, the clipboard, and the total."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.conftest import MIB
from tests.browser.watched import Watched, assert_stored
from tests.support.access import EditedAccessFile
from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

Open = Callable[..., Watched]
Make = Callable[..., Path]
Start = Callable[..., LiveServer]


def message(tab: Watched) -> str:
    """The text of the message that is shown."""
    shown = tab.page.locator(".message")
    shown.first.wait_for()
    return str(shown.last.inner_text())


def drop_paths(page: "Page", *paths: Path) -> None:
    """Drag files and folders over the page and drop them, as from a file manager."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 200, "data": data})


def paste(page: "Page", target: str, name: str) -> None:
    """Paste a picture of one dot, which a browser calls `name`."""
    page.evaluate(
        """async ([target, name]) => {
          const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
          const picture = await new Promise((resolve) => canvas.toBlob(resolve))
          const clipboardData = new DataTransfer()
          clipboardData.items.add(new File([picture], name, { type: 'image/png' }))
          document.querySelector(target).dispatchEvent(
            new ClipboardEvent('paste', { clipboardData, bubbles: true }))
        }""",
        [target, name],
    )


@pytest.mark.parametrize("name", ["a.exe", pytest.param("CON.txt", marks=pytest.mark.thorough)])
def test_a_file_is_refused_at_once_although_large_ones_wait_before_it(
    open_page: Open, make_file: Make, name: str
) -> None:
    tab = open_page()
    tab.network(MIB // 4)
    tab.choose(make_file("a.bmp", 12 * MIB), make_file("b.bmp", 12 * MIB), make_file(name))
    tab.wait_for(name, "refused")
    assert tab.page.locator(".transfer [value='1']").count() == 0, "none has been sent"
    tab.press("Dismiss", name)


def test_a_taken_name_is_reported_although_large_files_wait_before_it(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    (server.store / "c.txt").write_bytes(b"x")
    tab = open_page()
    tab.network(MIB // 4)
    tab.choose(make_file("a.bmp", 12 * MIB), make_file("b.bmp", 12 * MIB), make_file("c.txt"))
    tab.wait_for("c.txt", "refused")
    assert "c.txt was not stored" in tab.page.get_by_role("alert").inner_text()
    # A click is lost where the buttons are replaced between its two halves.
    tab.transfer("c.txt").get_by_role("button", name="Store as").wait_for()
    tab.press("Skip", "c.txt")
    assert tab.transfer("c.txt").count() == 0
    assert (server.store / "c.txt").read_bytes() == b"x"


@pytest.mark.parametrize(
    "size", [1000, pytest.param(9 * MIB, marks=pytest.mark.thorough)], ids=["small", "large"]
)
def test_a_file_whose_name_is_taken_is_stored_under_the_next_free_name(
    open_page: Open, make_file: Make, server: LiveServer, size: int
) -> None:
    for name in ("a.bmp", "a (2).bmp"):
        (server.store / name).write_bytes(b"BM")
    tab = open_page()
    file = make_file("a.bmp", size)
    tab.choose(file)
    tab.wait_for("a.bmp", "refused")
    tab.press("Store as “a (3).bmp”", "a.bmp")
    tab.wait_for("a (3).bmp", "done")
    assert (server.store / "a (3).bmp").read_bytes() == file.read_bytes()
    assert (server.store / "a.bmp").read_bytes() == b"BM"


def test_someone_who_may_only_write_is_offered_one_name_after_the_other(
    open_page: Open, make_file: Make, start_server: Start, tmp_path: Path
) -> None:
    server = start_server(WORKERS="1", ANONYMOUS="write", STORE_URL=str(tmp_path / "store"))
    for name in ("a.txt", "a (2).txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page(at=server)
    tab.expected.append("409 (Conflict)")
    tab.choose(make_file("a.txt"))
    tab.press("Store as “a (2).txt”", "a.txt")
    tab.press("Store as “a (3).txt”", "a (2).txt")
    tab.wait_for("a (3).txt", "done")
    assert server.published() == ["a (2).txt", "a (3).txt", "a.txt"]


def test_only_those_who_may_delete_are_offered_to_replace_a_file(
    open_page: Open, make_file: Make, start_server: Start, tmp_path: Path
) -> None:
    access = EditedAccessFile(tmp_path / "access.toml")
    writer = access.set("writer", "list,read,write")
    deleter = access.set("deleter", "list,read,write,delete")
    server = start_server(WORKERS="1", ANONYMOUS="none", ACCESS_FILE=str(access.path))
    (server.store / "a.txt").write_bytes(b"x")
    offered = []
    for credentials in (writer, deleter):
        tab = open_page(at=server, extra_http_headers=credentials)
        tab.choose(make_file("a.txt"))
        tab.transfer("a.txt").get_by_role("button", name="Store as").wait_for()
        offered.append(tab.page.get_by_role("button", name="Replace the stored file").count())
    assert offered == [0, 1]


def test_two_files_of_one_name_are_both_stored(
    open_page: Open, make_file: Make, server: LiveServer, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "a.txt"
    other.parent.mkdir()
    other.write_text("another")
    tab = open_page()
    first = make_file("a.txt")
    tab.choose(first, other)
    tab.page.locator("[data-state=done]").wait_for()
    tab.press("Store as “a (2).txt”", "a.txt")
    tab.wait_for("a (2).txt", "done")
    tab.wait_for("a.txt", "done")
    assert_stored(server.url, [first])
    assert (server.store / "a (2).txt").read_text() == "another"


def test_all_files_with_taken_names_get_other_names_or_are_skipped(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    names = ["a.txt", "b.txt", "c.txt"]
    for name in names:
        (server.store / name).write_bytes(b"x")
    tab = open_page()

    def choose_and_press(label: str) -> None:
        tab.choose(*map(make_file, names))
        for name in names:
            tab.transfer(name).get_by_role("button", name="Store as").wait_for()
        tab.page.locator("#total").get_by_role("button", name=label).click()

    choose_and_press("Store all under other names")
    for name in ("a (2).txt", "b (2).txt", "c (2).txt"):
        tab.wait_for(name, "done")
    choose_and_press("Skip all with taken names")
    assert tab.page.locator("[data-state=refused]").count() == 0
    assert len(server.published()) == 6


def test_a_file_that_is_chosen_twice_is_uploaded_once(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.keep_messages()
    tab.network(MIB // 16)  # it must not end before it is chosen again
    file = make_file("a.txt", 2 * MIB)
    tab.choose(file)
    tab.choose(file)
    assert "a.txt" in message(tab)
    assert tab.transfer("a.txt").count() == 1
    tab.network()
    tab.wait_for("a.txt", "done")


def test_the_files_in_a_dropped_folder_are_stored_and_the_others_are_named(
    open_page: Open, server: LiveServer, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deeper" / "empty").mkdir(parents=True)
    for name in ("a.txt", "deeper/b.txt", "deeper/c.exe", ".DS_Store"):
        (folder / name).write_text(name)
    (tmp_path / "d.txt").write_text("d.txt")
    tab = open_page()
    tab.keep_messages()
    drop_paths(tab.page, folder, tmp_path / "d.txt")
    for name in ("a.txt", "b.txt", "d.txt"):
        tab.wait_for(name, "done")
    text = message(tab)
    assert "2 files are left out" in text
    assert "c.exe" in text
    assert ".DS_Store" in text
    assert server.published() == ["a.txt", "b.txt", "d.txt"]
    assert (server.store / "b.txt").read_text() == "deeper/b.txt"
    assert tab.page.locator("body.dragging").count() == 0


def test_an_empty_folder_is_reported(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    tab = open_page()
    tab.keep_messages()
    drop_paths(tab.page, tmp_path / "folder")
    assert "no files in the folder" in message(tab)


def test_a_folder_can_be_chosen_without_dragging(
    open_page: Open, server: LiveServer, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.txt", "deeper/b.txt"):
        (folder / name).write_text(name)
    tab = open_page()
    with tab.page.expect_file_chooser() as chooser:
        tab.page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(str(folder))
    for name in ("a.txt", "b.txt"):
        tab.wait_for(name, "done")
    assert server.published() == ["a.txt", "b.txt"]


def test_a_pasted_picture_is_stored_under_the_date(open_page: Open, server: LiveServer) -> None:
    tab = open_page()
    paste(tab.page, "main", "image.png")
    tab.page.locator("[data-state=done]").wait_for()
    [name] = server.published()
    assert name.startswith("Pasted 20")
    assert name.endswith(".png")


def test_a_pasted_file_keeps_its_name_and_fields_keep_what_is_pasted_into_them(
    open_page: Open, server: LiveServer
) -> None:
    (server.store / "z.txt").write_bytes(b"x")
    tab = open_page()
    paste(tab.page, "#q", "field.png")
    paste(tab.page, "main", "plan.png")
    tab.wait_for("plan.png", "done")
    assert server.published() == ["plan.png", "z.txt"]


def test_files_dragged_over_the_window_cover_it(open_page: Open) -> None:
    tab = open_page()
    data = tab.page.evaluate_handle(
        "(() => { const data = new DataTransfer(); data.items.add(new File(['x'], 'a.txt'));"
        " return data })()"
    )
    tab.page.dispatch_event("main", "dragenter", {"dataTransfer": data})
    cover = tab.page.locator("#cover")
    assert cover.bounding_box() == {"x": 0, "y": 0, **tab.page.viewport_size}
    assert cover.inner_text() == "Drop the files to upload them"
    tab.page.dispatch_event("#cover", "dragleave", {"dataTransfer": data})
    assert not cover.is_visible()


def test_the_total_is_in_the_page_the_title_and_the_icon(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    page = tab.page
    title, icon = page.title(), page.get_attribute("link[rel=icon]", "href")
    tab.network(MIB // 4)  # none may be stored before all has been looked at
    files = [make_file(f"{number}.txt", 2 * MIB) for number in range(3)]
    tab.choose(*files)
    # There is no rate, and so no time that is left, in the moment after a pause.
    text = page.wait_for_function(
        "() => document.querySelector('#total progress').value > 0.05"
        " && [document.querySelector('#total .text').textContent]"
        ".find((text) => text.includes('left'))"
    ).json_value()
    assert "of 3 stored" in text
    assert "of 6.0 MiB" in text
    assert page.title().endswith(f"% · {title}")
    shown = page.evaluate("document.querySelector('link[rel=icon]').href")
    assert "/progress-" in shown
    assert page.request.get(shown).headers["content-type"].startswith("image/svg+xml")
    tab.network()
    for file in files:
        tab.wait_for(file.name, "done")
    page.wait_for_function("title => document.title === title", arg=title)
    assert page.locator("#total .text").inner_text() == "3 of 3 stored"
    assert page.evaluate("new URL(document.querySelector('link[rel=icon]').href).pathname") == icon
    page.get_by_role("button", name="Clear what is stored").click()
    assert page.locator(".transfer").count() == 0
    assert not page.locator("#uploads").is_visible()


def test_all_uploads_are_paused_and_resumed_together_and_their_list_is_folded(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    page = tab.page
    tab.network(MIB // 16)  # none may be stored before all are paused
    files = [make_file(f"{number}.txt", MIB) for number in range(4)]
    tab.choose(*files)
    page.wait_for_selector("[data-state=sending]")
    page.get_by_role("button", name="Pause all").press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Resume all"
    assert page.locator("[data-state=paused]").count() == 4
    toggle = page.locator("[data-do=toggle]")
    toggle.click()
    assert toggle.get_attribute("aria-expanded") == "false"
    assert not page.locator("#transfers").is_visible()
    tab.network()
    page.get_by_role("button", name="Resume all").click()
    page.get_by_text("4 of 4 stored").wait_for()
    toggle.click()
    assert page.locator("#transfers").is_visible()
    assert_stored(server.url, files)


@pytest.mark.thorough
def test_uploads_that_run_stand_above_those_that_are_done(open_page: Open, make_file: Make) -> None:
    tab = open_page()
    tab.choose(make_file("a.txt"))
    tab.wait_for("a.txt", "done")
    tab.network(MIB // 4)
    tab.choose(make_file("b.bmp", 12 * MIB), make_file("c.exe"))
    tab.page.wait_for_selector("[data-state=sending]")
    titles = tab.page.locator(".transfer .title").all_inner_texts()
    assert titles == ["b.bmp", "c.exe", "a.txt"]
    assert tab.page.locator(".transfer").first.bounding_box()["y"] < 600


@pytest.mark.parametrize("language", ["de-DE"])
def test_uploads_are_described_in_the_language_of_the_reader(
    open_page: Open, make_file: Make, language: str
) -> None:
    tab = open_page(locale=language)
    tab.expected.append("415")
    tab.choose(make_file("a.txt"), make_file("b.exe"), make_file("c.pdf"))
    tab.wait_for("a.txt", "done")
    tab.wait_for("b.exe", "refused")
    tab.wait_for("c.pdf", "refused")
    assert "Gespeichert" in tab.transfer("a.txt").inner_text()
    assert "werden hier nicht angenommen" in tab.transfer("b.exe").inner_text()
    refusal = tab.transfer("c.pdf").locator(".details").inner_text()  # in words of the service
    assert refusal == (
        "Nicht gespeichert. Der Endung nach ist die Datei application/pdf, dem Inhalt nach"
        " text/plain. Geben Sie ihr die Endung, die zum Inhalt passt."
    )


def test_a_form_that_is_refused_without_scripts_says_so_in_german(
    open_page: Open, make_file: Make
) -> None:
    tab = open_page(locale="de-DE", java_script_enabled=False)
    tab.expected.append("415")
    tab.choose(make_file("b.exe"))
    tab.page.get_by_role("button", name="Hochladen").click()
    said = tab.page.get_by_role("alert").inner_text()
    assert said == "Dateien mit der Endung .exe werden hier nicht angenommen."
    assert tab.page.locator("[lang=en]").count() == 0


@pytest.mark.thorough
def test_the_upload_side_fits_on_narrow_screens_with_large_targets(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    (server.store / "a.txt").write_bytes(b"x")
    tab = open_page(viewport={"width": 320, "height": 700}, has_touch=True, is_mobile=True)
    tab.choose(make_file("a.txt"), make_file("b.txt"), make_file("c" * 200 + ".txt"))
    tab.transfer("a.txt").get_by_role("button", name="Store as").wait_for()
    tab.wait_for("b.txt", "done")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 320
    sizes = tab.page.evaluate(
        "[...document.querySelectorAll('.uploads button, .dropzone .button, .dropzone button')]"
        ".filter((element) => element.checkVisibility())"
        ".map((element) => element.getBoundingClientRect().height)"
    )
    assert len(sizes) > 4
    assert min(sizes) >= 44


@pytest.mark.parametrize(
    "size", [1000, pytest.param(9 * MIB, marks=pytest.mark.thorough)], ids=["small", "large"]
)
def test_the_request_says_when_the_file_expires_and_which_version_it_replaces(
    open_page: Open, make_file: Make, server: LiveServer, size: int
) -> None:
    (server.store / "a.bmp").write_bytes(b"BM")
    etag = httpx.head(f"{server.url}/download/a.bmp").headers["ETag"]
    tab = open_page()
    tab.expected += ["409 (Conflict)"]
    tab.page.evaluate(
        "document.getElementById('expires')?.closest('p').remove();"
        "document.getElementById('upload').insertAdjacentHTML('beforeend',"
        " '<p class=expiry><select name=expires><option value=7d>')"
    )
    tab.choose(make_file("a.bmp", size))
    with tab.page.expect_request(lambda request: request.method in ("PUT", "POST")) as sent:
        tab.press("Replace the stored file", "a.bmp")
    if size < MIB:
        assert sent.value.url == f"{server.url}/upload/a.bmp?expires=7d"
        assert sent.value.headers["if-match"] == etag
        return
    metadata = sent.value.headers["upload-metadata"].split(",")
    values = {key: b64decode(value).decode() for key, value in (pair.split() for pair in metadata)}
    assert values == {"filename": "a.bmp", "expires": "7d", "if-match": etag}


def test_a_file_that_is_chosen_before_the_scripts_run_is_uploaded(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    held: list[Route] = []
    tab.page.route("**/page.js", lambda route: held.append(route))
    with tab.page.expect_request("**/page.js"):
        tab.page.goto(f"{server.url}/upload", wait_until="commit")
    tab.choose(make_file("a.txt"))
    assert held
    held[0].continue_()
    tab.wait_for("a.txt", "done")
    assert server.published() == ["a.txt"]


@pytest.mark.thorough
@pytest.mark.parametrize("width", [320, pytest.param(1280, marks=pytest.mark.thorough)])
def test_axe_finds_nothing_wrong_in_any_state_of_the_queue(
    open_page: Open,
    make_file: Make,
    server: LiveServer,
    assert_accessible: Callable[[Watched], None],
    scheme: str,
    width: int,
) -> None:
    for name in ("a.txt", "b.txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    tab.choose(*map(make_file, ("a.txt", "b.txt", "c.txt", "d.exe")))
    tab.wait_for("c.txt", "done")
    tab.transfer("b.txt").get_by_role("button", name="Store as").wait_for()
    for summary in tab.page.locator("summary:visible").all():
        summary.click()
    tab.network(MIB // 4)
    tab.choose(make_file("e.bmp", 12 * MIB), make_file("f.bmp", 12 * MIB))
    tab.page.get_by_role("button", name="Pause all").wait_for()
    assert_accessible(tab)
    tab.page.locator("[data-do=toggle]").click()
    assert_accessible(tab)
