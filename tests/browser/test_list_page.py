"""The list on the page: searching, sorting, paging, links and refreshing."""

import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.many_files import fill
from tests.browser.watched import Watched
from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

Open = Callable[..., Watched]
MARKUP = "<img src=x onerror=alert(1)>.txt"
RIGHT_TO_LEFT = "تقرير مالي.txt"
LONGEST = "é" * 125 + "x.txt"


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


CUT_THE_NEXT_LIST_OFF = """() => {
  const { fetch } = window
  window.fetch = async (url, options) => {
    window.fetch = fetch
    const response = await fetch(url, options)
    response.text = () => new Promise((_, reject) => {
      options.signal.addEventListener('abort', () => reject(options.signal.reason))
      document.dispatchEvent(new Event('visibilitychange'))
    })
    return response
  }
}"""
"""Have the next list aborted when its header fields have arrived, by a request for it again."""


def test_a_list_that_was_cut_off_is_shown_by_the_next_request(
    open_page: Open, server: LiveServer
) -> None:
    tab = open_page()
    httpx.put(f"{server.url}/upload/new.txt", content=b"text").raise_for_status()
    tab.page.evaluate(CUT_THE_NEXT_LIST_OFF)
    tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.page.locator("#files").get_by_role("link", name="new.txt", exact=True).wait_for()


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
