"""A tab of Chromium that records what must never happen on the page."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, ConsoleMessage, Locator, Page, Request

_REPORT_VIOLATIONS = """
window.violations = []
document.addEventListener('securitypolicyviolation', (event) => violations.push(event.blockedURI))
"""


STILL_HELD = ("409 (Conflict)", "423 (Locked)")
"""What the console may say when an upload is resumed before the server has noticed that the
connection of the earlier request is gone. The page tries again."""


class Watched:
    """One tab; `expected` holds parts of console messages that the test provokes on purpose.

    A page that was watched before is not `is_new`.
    """

    def __init__(self, page: "Page", base: str, *, is_new: bool = True) -> None:
        self.page = page
        self.base = base
        self.expected: list[str] = []
        self.messages: list[str] = []
        self.requests: list[Request] = []
        self._session: CDPSession | None = None
        self._listeners: list[tuple[str, Callable[..., Any]]] = []
        if is_new:
            page.add_init_script(_REPORT_VIOLATIONS)
        self.on("console", self._hear)
        self.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        self.on("request", lambda request: self.requests.append(request))

    def on(self, event: str, listener: "Callable[..., Any]") -> None:
        """Call the listener for each event of the page, until the end of the test."""
        self._listeners.append((event, listener))
        self.page.on(event, listener)  # type: ignore[call-overload]

    def release(self) -> None:
        """Leave the page for another test: without listeners, limits and what is on it.

        What is on it goes first, and its uploads with it: when a limit ends, the rest of an upload
        is sent at once.
        """
        for event, listener in self._listeners:
            self.page.remove_listener(event, listener)
        self.page.goto("about:blank")
        self.page.unroute_all()
        if self._session:
            self.network()
            self._session.detach()

    def _hear(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.messages.append(f"{message.text} ({message.location.get('url')})")

    def assert_in_order(self) -> None:
        """No error in the console, no request to another host, nothing the policy forbids."""
        wrong = [text for text in self.messages if not any(part in text for part in self.expected)]
        assert not wrong
        asked = [urlsplit(request.url) for request in self.requests]
        own = ("chrome-extension", "chrome")  # the viewer of PDF that is part of Chromium
        assert {url.netloc for url in asked if url.scheme not in own} == {
            urlsplit(self.base).netloc
        }
        if not self.page.is_closed():
            assert self.page.evaluate("window.violations") in ([], None)

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def choose(self, *files: Path) -> None:
        """Choose files, as in the dialog that a click on the dropzone opens."""
        self.page.set_input_files("#file", [str(file) for file in files])

    def drop(self, *files: Path) -> None:
        """Drag files over the page and drop them."""
        data = self.page.evaluate_handle("new DataTransfer()")
        for file in files:
            data.evaluate(
                "(data, [name, bytes]) => data.items.add(new File([bytes], name))",
                [file.name, file.read_text()],
            )
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event("main", event, {"dataTransfer": data})

    def network(self, bytes_per_second: int = -1, *, offline: bool = False) -> None:
        """Limit the upload rate (-1: no limit), or disconnect the network."""
        self._session = self._session or self.page.context.new_cdp_session(self.page)
        self._session.send("Network.enable")
        self._session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": offline,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": bytes_per_second,
            },
        )

    def close(self) -> None:
        """Leave the page and close the tab, while uploads may be running.

        The limit of `network` ends before the requests of a tab that is closed: the rest of an
        upload could then be sent at once.
        """
        self.page.once("dialog", lambda dialog: dialog.accept())  # the page asks whether to leave
        self.page.goto("about:blank")
        self.page.close()

    def keep_messages(self) -> None:
        """Let no message of this page go by itself, as if the pointer were on it.

        Most go after 7 seconds, and what was deleted cannot be kept any more.
        """
        self.page.evaluate(
            "new MutationObserver((changes) => changes.forEach(({ addedNodes }) =>"
            " addedNodes.forEach((message) => message.dispatchEvent("
            "new PointerEvent('pointerenter')))))"
            ".observe(document.getElementById('messages'), { childList: true })"
        )

    def transfer(self, name: str) -> "Locator":
        """The row of an upload."""
        return self.page.locator(".transfer", has=self.page.get_by_text(name, exact=True))

    def wait_for(self, name: str, *states: str, seconds: float = 60) -> None:
        """Wait until an upload is in one of these states."""
        row = self.transfer(name)
        handle = row.element_handle()
        self.page.wait_for_function(
            "([row, states]) => states.includes(row.dataset.state)",
            arg=[handle, list(states)],
            timeout=1000 * seconds,
        )

    def wait_until_sent(self, name: str, share: float) -> None:
        """Wait until this share of a file, from 0 to 1, has been sent."""
        bar = self.transfer(name).locator("progress").element_handle()
        self.page.wait_for_function(
            "([bar, share]) => bar.value >= share", arg=[bar, share], timeout=60_000
        )

    def press(self, label: str, name: str) -> None:
        """Press a button of an upload or of a file in the list."""
        self.page.get_by_role("button", name=f"{label} {name}", exact=True).click()

    def names(self) -> list[str]:
        """The names in the list."""
        return self.page.locator("tbody th").all_inner_texts()

    def offsets(self) -> list[int]:
        """The offsets of the PATCH requests of this tab."""
        patches = [request for request in self.requests if request.method == "PATCH"]
        return [int(request.headers["upload-offset"]) for request in patches]


def assert_stored(base: str, files: Iterable[Path]) -> None:
    """The service gives these files back, byte for byte."""
    for file in files:
        digest = hashlib.sha256()
        with httpx.stream("GET", f"{base}/download/{file.name}", timeout=60) as answer:
            assert answer.status_code == 200, file.name
            for block in answer.iter_bytes():
                digest.update(block)
        with file.open("rb") as stream:
            assert digest.digest() == hashlib.file_digest(stream, "sha256").digest(), file.name
