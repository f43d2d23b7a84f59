"""Previews of files on the page, and thumbnails."""

import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.watched import Watched
from tests.support.servers import LiveServer

Open = Callable[..., Watched]


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


def test_a_file_that_has_become_longer_is_previewed_to_its_new_end(
    open_page: Open, server: LiveServer
) -> None:
    """What the browser has kept of the shorter one does not decide how much is fetched."""
    text = open_page().page.locator("dialog pre")
    for content in ("short", "longer than it was before"):
        (server.store / "a.txt").write_text(content)
        text.page.reload()
        text.page.get_by_role("link", name="Preview a.txt").click()
        text.wait_for()
        assert text.text_content() == content


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
