"""Takes the pictures of the page that the documentation shows: `make screenshots`.

There is one of every state. If pngquant is installed, it makes them smaller.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from playwright.sync_api import sync_playwright

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS.parent))

from tests.browser.watched import Watched  # noqa: E402
from tests.support.access import EditedAccessFile  # noqa: E402
from tests.support.servers import LiveServer  # noqa: E402  # it lies beside

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURES = TESTS.parent / "docs" / "screenshots"
SAMPLES = ("note.pdf", "note.docx", "t.xlsx", "note.odt", "img.png", "t.csv")
MIB = 1024 * 1024
SIZES = {375: 812, 768: 1024, 960: 640, 1440: 900}
"""The heights of windows by their widths, in pixels."""


class Photographer:
    """Opens the page of a service for somebody, and takes pictures of it."""

    def __init__(
        self, browser: "Browser", server: LiveServer, rights: dict[str, str], files: Path
    ) -> None:
        self.browser = browser
        self.server = server
        self.rights = rights
        self.files = files
        """A directory with files to upload."""
        self.client = httpx.Client(base_url=server.url, headers=rights)

    def open(
        self,
        path: str = "/upload",
        width: int = 960,
        *,
        locale: str = "en-GB",
        is_stranger: bool = False,
        **options: object,
    ) -> Watched:
        """Open a page, as somebody with all rights or as a stranger."""
        fields = {} if is_stranger else {"extra_http_headers": self.rights}
        size = {"width": width, "height": SIZES[width]}
        page = self.browser.new_page(viewport=size, locale=locale, **fields, **options)
        tab = Watched(page, self.server.url)
        tab.go(path)
        return tab

    def take(self, tab: Watched, name: str, *, is_last: bool = True) -> None:
        """Take a picture; close the page if it is the last one of it."""
        picture = PICTURES / f"{name}.png"
        tab.page.mouse.move(0, 0)
        tab.page.screenshot(path=picture)
        if pngquant := shutil.which("pngquant"):
            options = ["--force", "--skip-if-larger", "--strip", "--output", str(picture)]
            subprocess.run([pngquant, *options, str(picture)], check=False)
        if is_last:
            tab.page.close()

    def link(self, **terms: object) -> str:
        """Make a link, and return the path of its page."""
        url = str(self.client.post("/links", json=terms).raise_for_status().json()["url"])
        return url.removeprefix(self.server.url)


def take_empty_list(by: Photographer) -> None:
    by.take(by.open(), "960-empty")


def take_uploads(by: Photographer) -> None:
    for width in (375, 768, 1440):
        for scheme in ("light", "dark"):
            tab = by.open(width=width, color_scheme=scheme)
            tab.choose(by.files / "setup.exe", by.files / "minutes.txt")
            tab.wait_for("minutes.txt", "done")
            tab.network(12 * MIB)
            tab.choose(by.files / "scan.bmp")
            tab.wait_until_sent("scan.bmp", 0.4)
            by.take(tab, f"{width}-{scheme}", is_last=False)
            tab.press("Cancel", "scan.bmp")
            tab.page.close()
            by.client.delete("/download/minutes.txt")


def take_failures(by: Photographer) -> None:
    """A name that is taken, a type that is not accepted, and a content of another type."""
    tab = by.open()
    (by.files / "note.pdf").write_text("as agreed\n")
    (by.files / "report.pdf").write_text("as agreed\n")
    tab.choose(by.files / "note.pdf", by.files / "setup.exe", by.files / "report.pdf")
    tab.wait_for("report.pdf", "refused")
    tab.page.get_by_role("button", name="Store as").wait_for()
    by.take(tab, "960-failures")


def take_dialogs(by: Photographer) -> None:
    """What is done with files: selecting them, looking at them, and sharing."""
    for width in (375, 1440):
        tab = by.open(width=width, locale="de-DE")
        name, page = f"{width}-german", tab.page
        for file in ("img.png", "note.pdf"):
            page.get_by_role("checkbox", name=f"{file} auswählen").click()
        by.take(tab, f"{name}-selected", is_last=False)
        page.keyboard.press("Escape")
        page.locator("tr", has_text="t.csv").locator("[data-do=preview]").dispatch_event("click")
        page.locator("dialog td").first.wait_for()
        by.take(tab, f"{name}-preview", is_last=False)
        page.keyboard.press("Escape")
        page.locator("tr", has_text="note.pdf").locator("[data-do=share]").dispatch_event("click")
        by.take(tab, f"{name}-share", is_last=False)
        page.get_by_role("button", name="Link erstellen und kopieren").click()
        page.locator("figure svg").wait_for()
        by.take(tab, f"{name}-link")


def take_problems(by: Photographer) -> None:
    tab = by.open(java_script_enabled=False)
    tab.choose(by.files / "setup.exe")
    tab.page.get_by_role("button", name="Upload", exact=True).click()
    by.take(tab, "960-problem")
    by.take(by.open("/download/nothing.txt", locale="de-DE"), "960-german-missing")
    by.take(by.open("/upload?q=invoice"), "960-nothing-found")
    by.take(by.open("/sign-in", is_stranger=True), "960-sign-in")


def take_links(by: Photographer) -> None:
    """What those see who have a link."""
    file = {"name": "note.pdf", "expires": "7d", "uses": 3}
    by.take(by.open(by.link(**file), is_stranger=True), "960-link")
    locked = by.link(**file, password="in the letter")
    by.take(by.open(locked, is_stranger=True), "960-link-password")
    gone = by.link(**file)
    for link in by.client.get("/links").json():
        by.client.delete(f"/links/{link['id']}")
    by.take(by.open(gone, is_stranger=True), "960-link-over")


def take_guests(by: Photographer) -> None:
    """What a guest sees before, while and after files are sent, and what the maker sees of it."""
    upload = {"prefix": "from-ada-", "files": 5, "bytes": "1GiB"}
    tab = by.open(by.link(upload=upload, expires="2d"), is_stranger=True)
    by.take(tab, "960-guest-empty", is_last=False)
    tab.network(12 * MIB)
    tab.choose(by.files / "minutes.txt", by.files / "scan.bmp")
    tab.wait_until_sent("from-ada-scan.bmp", 0.4)
    by.take(tab, "960-guest-sending", is_last=False)
    tab.network()
    tab.wait_for("from-ada-scan.bmp", "done")
    tab.page.get_by_text("2 of 2 stored").wait_for()
    by.take(tab, "960-guest-done")
    tab = by.open()
    tab.page.get_by_role("button", name="Links", exact=True).click()
    tab.page.get_by_text("2 files received").click()
    tab.page.get_by_text("from-ada-minutes.txt, ").wait_for()
    by.take(tab, "960-links", is_last=False)
    tab.page.get_by_role("button", name="Ask for files").click()
    by.take(tab, "960-ask-for-files")


STATES: tuple[Callable[[Photographer], None], ...] = (
    take_uploads,
    take_failures,
    take_dialogs,
    take_problems,
    take_links,
    take_guests,
)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        store, files = Path(scratch, "store"), Path(scratch, "files")
        for directory in (store, files):
            directory.mkdir()
        (files / "minutes.txt").write_text("as agreed\n" * 500)
        (files / "setup.exe").write_text("MZ")
        film = (TESTS / "samples" / "img.bmp").read_bytes()
        (files / "scan.bmp").write_bytes(film.ljust(60 * MIB, b"\0"))
        access = EditedAccessFile(Path(scratch, "access.toml"))
        rights = access.set("ada", "list,read,write,delete,share")
        variables = {"STORE_URL": str(store), "WORKERS": "1", "ACCESS_FILE": str(access.path)}
        server = LiveServer(variables)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        by = Photographer(browser, server, rights, files)
        take_empty_list(by)
        for name in SAMPLES:
            shutil.copyfile(TESTS / "samples" / name, store / name)
        for take_state in STATES:
            take_state(by)
        browser.close()
        server.stop()


if __name__ == "__main__":
    main()
