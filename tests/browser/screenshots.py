"""Takes the pictures of the page that the documentation shows: `make screenshots`."""

import shutil
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS.parent))

from tests.browser.watched import Watched  # noqa: E402
from tests.support.access import EditedAccessFile  # noqa: E402
from tests.support.servers import LiveServer  # noqa: E402  # it lies beside

PICTURES = TESTS.parent / "docs" / "screenshots"
SAMPLES = ("note.pdf", "note.docx", "t.xlsx", "note.odt", "img.png", "t.csv")
MIB = 1024 * 1024


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        store, files = Path(scratch, "store"), Path(scratch)
        store.mkdir()
        for name in SAMPLES:
            shutil.copyfile(TESTS / "samples" / name, store / name)
        (files / "minutes.txt").write_text("as agreed\n" * 500)
        (files / "setup.exe").write_text("MZ")
        film = (TESTS / "samples" / "img.bmp").read_bytes()
        (files / "scan.bmp").write_bytes(film.ljust(60 * MIB, b"\0"))
        access = EditedAccessFile(files / "access.toml")
        rights = access.set("ada", "list,read,write,delete,share")
        access_file = {"ACCESS_FILE": str(access.path)}
        server = LiveServer({"STORE_URL": str(store), "WORKERS": "1", **access_file})
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, height in ((375, 812), (768, 1024), (1440, 900)):
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    locale="en-GB",
                    extra_http_headers=rights,
                )
                tab = Watched(page, server.url)
                tab.go("/upload")
                tab.choose(files / "setup.exe", files / "minutes.txt")
                tab.wait_for("minutes.txt", "done")
                tab.network(12 * MIB)
                tab.choose(files / "scan.bmp")
                tab.wait_until_sent("scan.bmp", 0.4)
                page.screenshot(path=PICTURES / f"{width}-{scheme}.png")
                tab.press("Cancel", "scan.bmp")
                httpx.delete(f"{server.url}/download/minutes.txt", headers=rights)
                page.close()
        for width, height in ((375, 812), (1440, 900)):
            page = browser.new_page(
                viewport={"width": width, "height": height},
                locale="de-DE",
                extra_http_headers=rights,
            )
            take_dialogs(Watched(page, server.url), f"{width}-german")
            page.close()
        browser.close()
        server.stop()


def take_dialogs(tab: Watched, name: str) -> None:
    """Take pictures of what is done with files: selecting, looking at them, and sharing."""
    tab.go("/upload")
    page = tab.page
    for file in ("img.png", "note.pdf"):
        page.get_by_role("checkbox", name=f"{file} auswählen").click()
    page.mouse.move(0, 0)
    page.screenshot(path=PICTURES / f"{name}-selected.png")
    page.keyboard.press("Escape")
    page.locator("tr", has_text="t.csv").locator("[data-do=preview]").dispatch_event("click")
    page.locator("dialog td").first.wait_for()
    page.screenshot(path=PICTURES / f"{name}-preview.png")
    page.keyboard.press("Escape")
    page.locator("tr", has_text="note.pdf").locator("[data-do=share]").dispatch_event("click")
    page.screenshot(path=PICTURES / f"{name}-share.png")
    page.get_by_role("button", name="Link erstellen und kopieren").click()
    page.locator("figure svg").wait_for()
    page.screenshot(path=PICTURES / f"{name}-link.png")


main()
