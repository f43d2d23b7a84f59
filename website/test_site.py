"""The documentation as a site: it loads nothing from other hosts, and can be read on every screen.

`make docs-test` builds the site and runs these tests.
"""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.requirements import require

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
SHOWN = ["index.html", "architecture.html", "http.html", "how-to/resume.html", "moving-in.html"]
"""Pages that are opened in a browser: the first, one with a diagram, and some of every kind."""


class Addresses(HTMLParser):
    """Collects what a page loads, the ids that it has, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.loads += [values[name] for name in ("src", "srcset", "data") if values.get(name)]
        if tag == "link" and "href" in values:
            self.loads.append(values["href"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


@functools.cache
def addresses(page: str) -> Addresses:
    return Addresses((SITE / page).read_text())


def test_the_site_is_built() -> None:
    assert set(SHOWN) <= set(PAGES), "`make docs` builds it"


@pytest.mark.parametrize("page", PAGES)
def test_page_loads_only_files_of_the_site(page: str) -> None:
    for address in addresses(page).loads:
        assert not urlsplit(address).netloc, address
        if page != "404.html":  # whose addresses begin at the root of the host
            assert (SITE / page).parent.joinpath(urlsplit(address).path).exists(), address


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_pages_and_headings(page: str) -> None:
    for link in addresses(page).links:
        path, anchor = urldefrag(link)
        if urlsplit(path).scheme or page == "404.html":
            continue
        target = (SITE / page).parent.joinpath(path).resolve() if path else SITE / page
        target = target / "index.html" if target.is_dir() else target
        assert target.exists(), link
        if anchor and target.suffix == ".html":
            assert anchor in addresses(target.relative_to(SITE.resolve()).as_posix()).ids, link


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server for the site."""
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if executable is None:
        require("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Page]:
    """A page of which all requests and errors are kept; `requests` and `errors` are lists of it."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.mark.parametrize(("width", "height"), [(375, 812), (1440, 900)])
@pytest.mark.parametrize("shown", SHOWN)
def test_page_fits_the_screen_and_asks_no_other_host(
    shown: str, width: int, height: int, opened: Page, address: str
) -> None:
    requests: list[str] = []
    errors: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    opened.set_viewport_size({"width": width, "height": height})
    opened.goto(address + shown, wait_until="networkidle")
    if shown == "architecture.html":
        opened.wait_for_function("document.querySelector('div.mermaid')?.shadowRoot !== undefined")
    pictures = ROOT / "build" / "site-pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=pictures / f"{shown.replace('/', '-')}-{width}.png")
    assert errors == []
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_search_finds_a_page(opened: Page, address: str) -> None:
    opened.set_viewport_size({"width": 1440, "height": 900})
    opened.goto(address, wait_until="networkidle")
    opened.locator("input.md-search__input").click()
    opened.keyboard.type("shutting-down")
    opened.locator(".md-search-result__link", has_text="Errors").first.wait_for(state="attached")
