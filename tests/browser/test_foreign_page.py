"""A page of another site, open in a browser that can reach the service."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SEND = """
async ([url, options]) => {
  try {
    return (await fetch(url, { ...options, mode: options.mode ?? 'cors' })).type
  } catch (error) {
    return error.name
  }
}
"""
FORM = """
async ([url]) => {
  const body = new FormData()
  body.append('file', new File(['some text'], 'form.txt'))
  return (await fetch(url, { method: 'POST', mode: 'no-cors', body })).type
}
"""


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, *_: object) -> None:
        """In silence."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of a page whose site is another: localhost is not the site of 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(new_context: "Callable[..., BrowserContext]", elsewhere: str) -> "Page":
    page = new_context().new_page()
    page.goto(elsewhere)
    return page


def statuses(page: "Page") -> list[tuple[str, int]]:
    """Of every answer from here on: the method and the status."""
    seen: list[tuple[str, int]] = []
    page.on("response", lambda answer: seen.append((answer.request.method, answer.status)))
    return seen


def test_a_page_of_another_site_stores_and_deletes_nothing(
    page: "Page", server: LiveServer
) -> None:
    (server.store / "kept.txt").write_bytes(b"kept")
    seen = statuses(page)
    text = {"headers": {"Content-Type": "text/plain"}, "body": "some text", "mode": "no-cors"}

    assert page.evaluate(FORM, [f"{server.url}/upload"]) == "opaque"
    post = {"method": "POST", **text}
    assert page.evaluate(SEND, [f"{server.url}/upload/text.txt", post]) == "opaque"
    assert seen == [("POST", 403), ("POST", 403)]
    for method, path in (("PUT", "upload/put.txt"), ("DELETE", "download/kept.txt")):
        options = {"method": method, "body": "some text" if method == "PUT" else None}
        assert page.evaluate(SEND, [f"{server.url}/{path}", options]) == "TypeError"
    assert server.published() == ["kept.txt"]


def test_a_form_submitted_by_a_page_of_another_site_stores_nothing(
    page: "Page", server: LiveServer
) -> None:
    page.set_content(
        f"<form method=post enctype=text/plain action='{server.url}/upload/a.txt'>"
        "<input name=a value=b></form>"
    )
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")

    assert "cross-site" in page.content()
    assert server.published() == []


def test_a_page_of_an_allowed_origin_may_upload_and_delete(
    page: "Page", elsewhere: str, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(CORS_ORIGINS=elsewhere, WORKERS="1")

    put = {"method": "PUT", "body": "some text"}
    assert page.evaluate(SEND, [f"{server.url}/upload/put.txt", put]) == "cors"
    assert page.evaluate(FORM, [f"{server.url}/upload"]) == "opaque"
    assert server.published() == ["form.txt", "put.txt"]
    assert page.evaluate(SEND, [f"{server.url}/download/put.txt", {"method": "DELETE"}]) == "cors"
    assert server.published() == ["form.txt"]


def test_a_page_that_rebinds_its_dns_name_reads_nothing(
    start_server: Callable[..., LiveServer], chromium: "Browser", tool: Callable[[str], str]
) -> None:
    server = start_server(ALLOWED_HOSTS="", WORKERS="1")
    (server.store / "secret.txt").write_bytes(b"secret")
    rules = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
    browser = chromium.browser_type.launch(
        executable_path=tool("chromium"), args=["--no-sandbox", rules]
    )
    try:
        page = browser.new_page()
        answer = page.goto(f"http://rebound.example:{server.port}/download/secret.txt?inline=1")
        assert answer is not None
        assert answer.status == 421
        assert "secret</pre>" not in page.content()
    finally:
        browser.close()
