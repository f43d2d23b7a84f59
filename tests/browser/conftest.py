"""Fixtures: Chromium, pages of it that are watched, and files to upload."""

import importlib.util
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.many_files import fill
from tests.browser.reused_page import ReusedPage
from tests.browser.watched import Watched
from tests.support.requirements import require
from tests.support.servers import LiveServer

if importlib.util.find_spec("playwright"):
    from playwright.sync_api import Browser, BrowserContext, sync_playwright

MIB = 1024 * 1024
REBOUND = "rebound.example"
"""A name that the browser resolves to the address of this machine."""


@pytest.fixture(scope="session")
def chromium(tool: Callable[[str], str]) -> "Iterator[Browser]":
    """Debian's Chromium, without a window.

    The shell without a window has the same engine and needs half of the CPU: the whole browser
    renders an interface that nobody sees.
    """
    if not importlib.util.find_spec("playwright"):
        require("Playwright is not installed: the page was not tested in a browser")
    executable = shutil.which("chromium-headless-shell") or tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def new_context(chromium: "Browser") -> "Iterator[Callable[..., BrowserContext]]":
    """A person with a browser of their own: `new_context(locale="de-DE")`."""
    contexts: list[BrowserContext] = []

    def make(**options: object) -> "BrowserContext":
        contexts.append(chromium.new_context(locale=options.pop("locale", "en-GB"), **options))
        contexts[-1].set_default_timeout(60_000)
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def reused_page(chromium: "Browser") -> Iterator[ReusedPage]:
    """The page of the tests of a module that need none of their own."""
    page = ReusedPage(chromium)
    yield page
    page.close()


@pytest.fixture
def open_page(
    new_context: "Callable[..., BrowserContext]", reused_page: ReusedPage, server: LiveServer
) -> Iterator[Callable[..., Watched]]:
    """Open the page in a tab that is watched; nothing it does may be out of order.

    The tab is new and empty, or looks so; with a `context` it is new.
    """
    opened: list[Watched] = []

    def open_it(
        query: str = "",
        *,
        context: "BrowserContext | None" = None,
        at: LiveServer | None = None,
        **options: object,
    ) -> Watched:
        base = (at or server).url
        if context is None and reused_page.is_free_for(options):
            opened.append(reused_page.open(base, options))
        else:
            opened.append(Watched((context or new_context(**options)).new_page(), base))
        opened[-1].go(f"/upload{query}")
        return opened[-1]

    yield open_it
    try:
        for watched in opened:
            watched.assert_in_order()
    finally:
        reused_page.release()


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Make a file that is what its name says: `make_file("a.bmp", 200 * MIB)`."""

    def make(name: str, size: int = 1000) -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        chance = random.Random(name)
        with path.open("wb") as file:
            if path.suffix == ".bmp":
                # An image of one row of grey dots, and whatever comes behind it.
                head = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
                head += (40).to_bytes(4, "little") + (1).to_bytes(4, "little") * 2
                head += (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
                file.write(head)
                for begin in range(len(head), size, MIB):
                    file.write(chance.randbytes(min(MIB, size - begin)))
            else:
                file.write((chance.randbytes(size // 2 + 1).hex())[:size].encode())
        return path

    return make


@pytest.fixture
def many(server: LiveServer) -> Callable[[int], None]:
    """Fill the store of the shared server with this many files."""
    return lambda count: fill(server, count)


@pytest.fixture(params=["light", pytest.param("dark", marks=pytest.mark.thorough)])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def assert_accessible() -> Callable[..., None]:
    """axe-core finds nothing wrong, in anything it can check."""
    if not importlib.util.find_spec("axe_playwright_python"):
        require("axe-core is not installed: accessibility was not tested")
    from axe_playwright_python.sync_playwright import Axe

    script, axe = Axe().axe_script, Axe("")

    def check(tab: Watched, part: str | None = None) -> None:
        """Check the page, or the part of it that has changed since it was checked."""
        tab.page.wait_for_load_state()  # after a click, the page may have arrived in part
        if not tab.page.evaluate("'axe' in window"):
            tab.page.evaluate(script)
        results = axe.run(tab.page, part)
        assert results.response["passes"]
        assert results.violations_count == 0, results.generate_report()

    return check
