"""The list on the page: searching, sorting, paging, previews, deletion and refreshing."""

import math
import os
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.watched import Watched
from tests.support.servers import LiveServer
from tests.support.wire import eventually

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

Open = Callable[..., Watched]
MARKUP = "<img src=x onerror=alert(1)>.txt"
RIGHT_TO_LEFT = "تقرير مالي.txt"
LONGEST = "é" * 125 + "x.txt"


def fill(server: LiveServer, count: int) -> None:
    """Store this many files, whose sizes and times are in no order of their names."""
    for number in range(count):
        path = server.store / f"file-{number:05}.txt"
        path.write_bytes(b"x" * (number * 7919 % 1000))
        os.utime(path, (1_700_000_000, 1_700_000_000 + number * 104_729 % 100_000))


@pytest.fixture
def many(server: LiveServer) -> Callable[[int], None]:
    """Fill the store of the shared server with this many files."""
    return lambda count: fill(server, count)


def test_many_files_are_listed_a_page_at_a_time(
    open_page: Open, many: Callable[[int], None]
) -> None:
    many(120)
    tab = open_page()
    assert tab.names() == [f"file-{number:05}.txt" for number in range(100)]
    tab.page.get_by_role("link", name="Next files").click()
    tab.page.wait_for_function(
        "() => document.querySelector('tbody th').innerText === 'file-00100.txt'"
    )
    assert tab.names() == [f"file-{number:05}.txt" for number in range(100, 120)]
    assert "after=file-00099.txt" in tab.page.url
    tab.page.go_back()
    tab.page.wait_for_function(
        "() => document.querySelector('tbody th').innerText === 'file-00000.txt'"
    )
    tab.page.reload()
    assert tab.names()[0] == "file-00000.txt"


@pytest.mark.parametrize(
    ("column", "field", "first"),
    [
        ("Size", "size", max),
        pytest.param("Modified", "modified", max, marks=pytest.mark.thorough),
        pytest.param("Name", "filename", max, marks=pytest.mark.thorough),
    ],
)
def test_many_files_are_sorted_both_ways(
    open_page: Open,
    many: Callable[[int], None],
    server: LiveServer,
    column: str,
    field: str,
    first: Callable[..., object],
) -> None:
    many(120)
    everything = httpx.get(f"{server.url}/download").json()
    ordered = sorted(everything, key=lambda record: (record[field], record["filename"]))
    expected = [record["filename"] for record in ordered]
    tab = open_page()
    for names, how in ((expected[::-1], "descending"), (expected, "ascending")):
        tab.page.get_by_role("link", name=column, exact=True).click()
        header = tab.page.locator(f"th[aria-sort={how}]", has_text=column)
        header.wait_for()
        assert tab.names() == names[:100]
        assert tab.page.evaluate("document.activeElement.innerText") == column
        tab.page.get_by_role("link", name="Next files").click()
        tab.page.get_by_role("link", name="First files").wait_for()
        assert tab.names() == names[100:]


def test_typing_in_the_search_field_filters_the_list_on_the_server(
    open_page: Open, many: Callable[[int], None]
) -> None:
    many(500)
    tab = open_page()
    search = tab.page.get_by_role("searchbox", name="Find by name")
    search.press_sequentially("49")
    tab.page.wait_for_function(
        "() => document.querySelector('tbody th').innerText === 'file-00049.txt'"
    )
    search.press_sequentially("9")
    tab.page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
    assert tab.names() == ["file-00499.txt"]
    assert tab.page.evaluate("document.activeElement.id") == "q"
    assert search.input_value() == "499"
    assert tab.page.locator("#status").inner_text() == "Showing 1–1 of 1"
    search.fill("nothing like it")
    tab.page.locator("#files", has_text="No file has “nothing like it” in its name.").wait_for()
    tab.page.get_by_role("link", name="Show all files").click()
    tab.page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 100")


def painted_after(tab: Watched) -> float:
    """Reload the page, and return after how many milliseconds it is painted for the first time."""
    tab.page.reload()
    milliseconds: float = tab.page.evaluate(
        # What has no content, such as the background, may be painted before.
        "new Promise((resolve) => new PerformanceObserver((list) =>"
        " list.getEntriesByName('first-contentful-paint').forEach((paint) =>"
        " resolve(paint.startTime)))"
        ".observe({ type: 'paint', buffered: true }))"
    )
    return milliseconds


@pytest.mark.thorough
def test_the_first_of_ten_thousand_files_are_painted_as_soon_as_a_hundred(
    open_page: Open, server: LiveServer, start_server: Callable[..., LiveServer]
) -> None:
    """The two pages are loaded in turn, and the fastest of each counts. The more the machine has to
    do meanwhile, the more often they are loaded."""
    crowded = start_server(WORKERS="2")
    fill(server, 100)
    fill(crowded, 10_000)
    few, many = open_page(), open_page(at=crowded)
    assert len(few.names()) == len(many.names()) == 100
    painted: list[tuple[float, float]] = []
    fastest = [0.0, math.inf]
    while len(painted) < 3 or (fastest[1] > 2 * fastest[0] and len(painted) < 15):
        painted.append((painted_after(few), painted_after(many)))
        fastest = [min(times) for times in zip(*painted, strict=True)]
    assert fastest[1] <= 2 * fastest[0], painted


@pytest.mark.thorough
def test_the_list_does_not_shift_while_it_loads(
    open_page: Open, new_context: Callable[..., "BrowserContext"], many: Callable[[int], None]
) -> None:
    many(200)
    tab = open_page(context=new_context())  # which has loaded nothing before
    tab.page.evaluate(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) =>"
        " { shift += entry.value })).observe({ type: 'layout-shift', buffered: true })"
    )
    tab.page.evaluate("document.fonts.ready")
    tab.page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
    # A browser that is slow may paint half of a row, whose buttons then move within their cell
    # (0.0005 was seen); columns that move are 0.004.
    assert tab.page.evaluate("shift") < 0.002


def test_markup_in_names_is_shown_as_text(open_page: Open, server: LiveServer) -> None:
    for name in (MARKUP, RIGHT_TO_LEFT, LONGEST):
        (server.store / name).write_bytes(b"x")
    tab = open_page()
    assert tab.page.locator("tbody th").all_text_contents() == sorted(
        [MARKUP, RIGHT_TO_LEFT, LONGEST]
    )
    assert tab.page.locator("tbody img").count() == 0
    for name in (MARKUP, RIGHT_TO_LEFT, LONGEST):
        with tab.page.expect_download() as download:
            tab.page.locator("tbody th a").nth(
                sorted([MARKUP, RIGHT_TO_LEFT, LONGEST]).index(name)
            ).click()
        assert Path(download.value.path()).read_bytes() == b"x"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [MARKUP, RIGHT_TO_LEFT, LONGEST],
)
def test_files_with_odd_names_can_be_uploaded_and_deleted(
    open_page: Open, server: LiveServer, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"x")
    tab = open_page()
    tab.choose(tmp_path / name)
    tab.page.locator("[data-state=done]").wait_for()
    assert server.published() == [name]
    tab.keep_messages()
    tab.page.locator("tbody [data-do=delete]").click()
    tab.page.get_by_role("button", name="Hide this message").last.click()
    tab.page.get_by_text("Nothing is stored yet").wait_for()
    assert server.published() == []


@pytest.mark.parametrize(
    "width", [320, *(pytest.param(n, marks=pytest.mark.thorough) for n in (375, 768, 1440, 3840))]
)
def test_the_page_fits_any_screen(open_page: Open, server: LiveServer, width: int) -> None:
    for name in (MARKUP, RIGHT_TO_LEFT, LONGEST, "a" * 250 + ".txt"):
        (server.store / name).write_bytes(b"x")
    tab = open_page(viewport={"width": width, "height": 800})
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


def test_files_are_previewed_in_the_page(
    open_page: Open, server: LiveServer, sample: Callable[[str], Path]
) -> None:
    for name in ("note.pdf", "img.png", "note.docx"):
        (server.store / name).write_bytes(sample(name).read_bytes())
    tab = open_page()
    assert tab.page.locator("[data-do=preview]").count() == 2
    tab.page.get_by_role("link", name="Preview img.png").click()
    image = tab.page.locator("dialog img")
    image.wait_for()
    tab.page.wait_for_function("() => document.querySelector('dialog img').naturalWidth > 0")
    tab.page.keyboard.press("Escape")
    image.wait_for(state="detached")
    with tab.page.expect_response("**/download/note.pdf?inline=1") as answer:
        tab.page.get_by_role("link", name="Preview note.pdf").click()
    assert answer.value.headers["content-disposition"].startswith("inline")
    frame = tab.page.locator("dialog iframe")
    assert frame.get_attribute("title") == "note.pdf"
    assert frame.bounding_box()["height"] > 200
    with tab.page.expect_download() as download:
        tab.page.get_by_role("dialog").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "note.pdf"
    tab.page.get_by_role("button", name="Close").click()
    assert tab.page.evaluate("document.activeElement.textContent") == "Preview note.pdf"


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        pytest.param("a.md", "# <b>Title</b>\n", "# <b>Title</b>\n", marks=pytest.mark.thorough),
        ("a.json", '{"b":[1,null]}', '{\n  "b": [\n    1,\n    null\n  ]\n}'),
        pytest.param("a.json", "{broken", "{broken", marks=pytest.mark.thorough),
        pytest.param("a.txt", "ä\n", "ä\n", marks=pytest.mark.thorough),
    ],
)
def test_text_is_previewed_as_text_in_which_nothing_runs(
    open_page: Open, server: LiveServer, name: str, content: str, shown: str
) -> None:
    (server.store / name).write_text(content)
    tab = open_page()
    tab.page.get_by_role("link", name=f"Preview {name}").click()
    text = tab.page.locator("dialog pre")
    text.wait_for()
    assert text.text_content() == shown


@pytest.mark.thorough
def test_a_table_is_previewed_as_a_table(open_page: Open, server: LiveServer) -> None:
    (server.store / "a.csv").write_text('name;note\r\n"Ada ""A""";"one\ntwo; three"\r\nBob;\n')
    (server.store / "b.csv").write_text("n\n" + "x\n" * 600)
    tab = open_page()
    tab.page.get_by_role("link", name="Preview a.csv").click()
    tab.page.locator("dialog td").first.wait_for()
    assert tab.page.locator("dialog tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    ) == [["name", "note"], ['Ada "A"', "one\ntwo; three"], ["Bob", ""]]
    tab.page.keyboard.press("ArrowRight")
    tab.page.get_by_text("Only the first 500 rows are shown.").wait_for()
    assert tab.page.locator("dialog tr").count() == 500
    assert tab.page.locator("dialog h2").inner_text() == "b.csv"


def test_the_first_part_of_a_large_text_is_previewed(open_page: Open, server: LiveServer) -> None:
    (server.store / "a.log").write_bytes(b"x" * (20 << 20))
    (server.store / "b.txt").write_bytes(b"")
    tab = open_page()
    tab.page.get_by_role("link", name="Preview a.log").click()
    tab.page.get_by_text("Only the first 512.0 KiB are shown.").wait_for()
    assert len(tab.page.locator("dialog pre").text_content()) == 512 << 10
    tab.page.keyboard.press("ArrowRight")
    tab.page.get_by_text("The file is empty.").wait_for()


def test_media_are_played_in_the_page(open_page: Open, server: LiveServer) -> None:
    with wave.open(str(server.store / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 8000, "NONE", ""))
        sound.writeframes(bytes(16000))
    tab = open_page()
    tab.page.get_by_role("link", name="Preview a.wav").click()
    tab.page.wait_for_function("() => document.querySelector('dialog audio')?.duration === 1")


def test_images_have_thumbnails_that_the_browser_makes_from_small_files_only(
    open_page: Open, server: LiveServer, sample: Callable[[str], Path]
) -> None:
    image = sample("img.png").read_bytes()
    (server.store / "a.png").write_bytes(image)
    (server.store / "large.png").write_bytes(image.ljust(2 << 20, b"\0"))
    (server.store / "wrong.png").write_bytes(b"this is no image")
    tab = open_page()
    tab.page.locator("[data-extension=PNG] canvas").wait_for()
    with tab.page.expect_response("**/upload"):
        tab.page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    assert tab.page.locator("[data-extension=PNG] canvas").count() == 1
    fetched = sorted(request.url for request in tab.requests if "inline=1" in request.url)
    assert fetched == [f"{server.url}/download/{name}?inline=1" for name in ("a.png", "wrong.png")]


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


@pytest.mark.parametrize(
    ("count", "visited"),
    [
        (
            150,
            [("Next", "Showing 101–150 of 150"), ("Previous", "Showing 1–100")],
        ),
        pytest.param(
            250,
            [
                ("Next", "Showing 101–200 of 250"),
                ("Next", "Showing 201–250 of 250"),
                ("Previous", "Showing 101–200"),
                ("Previous", "Showing 1–100"),
            ],
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["two pages", "three pages"],
)
def test_the_page_leads_back_and_says_where_it_is(
    open_page: Open, many: Callable[[int], None], count: int, visited: list[tuple[str, str]]
) -> None:
    many(count)
    tab = open_page("?sort=-size")
    pages = tab.page.get_by_role("navigation", name="Pages")
    assert pages.locator("p").inner_text() == f"Showing 1–100 of {count}"
    for label, shown in visited:
        pages.get_by_role("link", name=f"{label} files").click()
        tab.page.get_by_text(shown, exact=True).first.wait_for()
    assert pages.get_by_role("link", name="Previous files").count() == 0


def test_the_newest_file_is_shown_first_after_an_upload(
    open_page: Open, many: Callable[[int], None], tmp_path: Path
) -> None:
    many(3)
    (tmp_path / "z.txt").write_bytes(b"x")
    tab = open_page()
    tab.choose(tmp_path / "z.txt")
    tab.wait_for("z.txt", "done")
    tab.page.wait_for_function("() => document.querySelector('tbody th').innerText === 'z.txt'")
    assert tab.page.url.endswith("?sort=-modified")


def test_the_copied_command_downloads_the_file(
    open_page: Open, server: LiveServer, tool: Callable[[str], str], tmp_path: Path
) -> None:
    name = "it's $(one) file.txt"
    (server.store / name).write_bytes(b"content")
    tab = open_page(permissions=["clipboard-read", "clipboard-write"])
    tab.press("Copy curl command for", name)
    tab.page.get_by_text("Command copied").first.wait_for()
    command = tab.page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("curl ")
    tool("curl")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / name).read_bytes() == b"content"


def test_the_page_speaks_german(open_page: Open, server: LiveServer) -> None:
    (server.store / "a.txt").write_bytes(b"x")
    tab = open_page(locale="de-AT")
    assert tab.page.locator("html").get_attribute("lang") == "de"
    assert tab.page.get_by_role("heading", name="Dateien").is_visible()
    tab.keep_messages()
    tab.page.get_by_role("button", name="a.txt löschen").click()
    tab.page.get_by_role("button", name="Rückgängig").click()
    assert server.published() == ["a.txt"]


def test_a_link_is_copied(open_page: Open, server: LiveServer) -> None:
    (server.store / "a b.txt").write_bytes(b"x")
    tab = open_page(permissions=["clipboard-read", "clipboard-write"])
    tab.press("Copy link", "to a b.txt")
    tab.page.wait_for_function(
        "url => navigator.clipboard.readText().then((text) => text === url)",
        arg=f"{server.url}/download/a%20b.txt",
    )


def test_files_that_others_store_appear_without_a_reload(
    open_page: Open, server: LiveServer
) -> None:
    tab = open_page()
    assert "Nothing is stored yet" in tab.page.locator("#files").inner_text()
    assert f"curl -T sample.pdf {server.url}/upload/" in tab.page.locator("pre").inner_text()
    (server.store / "news.txt").write_bytes(b"x")
    tab.page.get_by_role("link", name="news.txt", exact=True).wait_for()


def test_the_curl_line_of_the_empty_page_works(
    open_page: Open, server: LiveServer, sample: Callable[[str], Path], tool: Callable[[str], str]
) -> None:
    tab = open_page()
    _, *arguments = tab.page.locator("pre").inner_text().split()
    folder = sample("note.pdf").parent
    line = [argument.replace("sample.pdf", "note.pdf") for argument in arguments]
    done = subprocess.run([tool("curl"), "-sSf", *line], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert server.published() == ["note.pdf"]


def test_sizes_and_dates_are_formatted_for_the_locale(open_page: Open, server: LiveServer) -> None:
    path = server.store / "a.txt"
    path.write_bytes(b"x" * 1536)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    tab = open_page(locale="de-DE", timezone_id="Europe/Berlin")
    row = tab.page.locator("tbody tr")
    assert row.locator("td.size").inner_text() == "1,5 KiB"
    assert row.locator("td.modified").inner_text() == "14.11.2023, 23:13"
