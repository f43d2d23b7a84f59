"""Files that are two things at once, and scripts, opened in a browser in every way: nothing runs.

The same bytes on a server that says nothing about them are the control: there they do run.
"""

import contextlib
import importlib.util
import io
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import LiveServer

if importlib.util.find_spec("playwright"):
    from playwright.sync_api import Error

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


def script(name: str) -> str:
    """What tells every page and worker that it runs, with the name of its file."""
    return (
        f"(self.top || {{ postMessage() {{}} }}).postMessage('{name}', '*');"
        f" new BroadcastChannel('ran').postMessage('{name}'); self.ran = 1"
    )


def page(name: str) -> bytes:
    return f"<script>try {{ {script(name)} }} catch {{}} location.hash = 'ran'</script>".encode()


def gif_and_script(name: str) -> bytes:
    """A GIF whose width is the beginning of a comment, for a reader of JavaScript."""
    comment = f"*/=1;{script(name)}//".encode()
    extension = b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0"
    image = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a/*\1\0\x80\0\0\0\0\0\xff\xff\xff" + extension + image + b"\x3b"


def png_and_page(name: str) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    text = chunk(b"tEXt", b"Comment\0" + page(name))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + text + pixels + chunk(b"IEND", b"")


def pdf_and_page(name: str) -> bytes:
    action = re.sub(r"([()\\])", r"\\\1", script(name))
    lines = [
        "%PDF-1.7",
        f"1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS({action})>>>>endobj",
        "2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj",
        "trailer<</Root 1 0 R>>",
        "%%EOF",
    ]
    return "\n".join(lines).encode() + b"\n" + page(name) + b"\n%%EOF\n"


def zip_and_pdf(name: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.html", page(name))
    return pdf_and_page(name) + archive.getvalue()


def script_alone(name: str) -> bytes:
    return script(name).encode()


def picture(name: str) -> bytes:
    return f"<svg xmlns='http://www.w3.org/2000/svg'><script>{script(name)}</script></svg>".encode()


def style(name: str) -> bytes:
    return f"body {{ --ran: '{name}' }}".encode()


UPLOADED: dict[str, tuple[Callable[[str], bytes], str]] = {
    "gif-js.gif": (gif_and_script, "text/javascript"),
    "png-html.png": (png_and_page, "text/html"),
    "pdf-html.pdf": (pdf_and_page, "text/html"),
    "zip-pdf.zip": (zip_and_pdf, "text/html"),
    "zip-pdf.pdf": (zip_and_pdf, "text/html"),
    "page.txt": (page, "text/html"),
    "script.txt": (script_alone, "text/javascript"),
}
"""Files that are uploaded, and as what a browser runs them if their media type says so."""
FOREIGN: dict[str, tuple[Callable[[str], bytes], str]] = {
    "page.html": (page, "text/html"),
    "picture.svg": (picture, "image/svg+xml"),
    "script.js": (script_alone, "text/javascript"),
    "style.css": (style, "text/css"),
}
"""Files that are put into the directory by other means."""
CONTENT = {name: make(name) for name, (make, _) in (UPLOADED | FOREIGN).items()}
TYPES = {name: kind for name, (_, kind) in (UPLOADED | FOREIGN).items()}


class Permissive(BaseHTTPRequestHandler):
    """A server that says of each file what a browser would have to believe to run it."""

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2].partition("?")[0]
        content, kind = CONTENT.get(name, b""), TYPES.get(name, "text/html")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """In silence."""


@pytest.fixture(scope="module")
def permissive() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Permissive) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


EMBED = """
async ([base, names, way, limit]) => {
  const ran = new Set()
  const hear = (event) => ran.add(event.data)
  addEventListener('message', hear)
  const channel = new BroadcastChannel('ran')
  channel.onmessage = hear
  const settled = (target) => new Promise((resolve) => {
    for (const event of ['load', 'error']) target.addEventListener(event, resolve)
    setTimeout(resolve, limit || 2000)
  })
  const add = (name, properties) => {
    const element = Object.assign(document.createElement(name), properties)
    const loaded = settled(element)
    document.body.append(element)
    return loaded
  }
  const embed = {
    script: (url) => add('script', { src: url }),
    module: (url) => add('script', { src: url, type: 'module' }),
    import: (url) => import(url).catch(() => {}),
    iframe: (url) => add('iframe', { src: url }),
    object: (url) => add('object', { data: url }),
    embed: (url) => add('embed', { src: url }),
    img: (url) => add('img', { src: url }),
    style: (url) => add('link', { href: url, rel: 'stylesheet' }),
    worker: async (url) => { try { await settled(new Worker(url)) } catch {} },
    'service worker': async (url, name) => {
      try {
        const registered = await navigator.serviceWorker.register(url)
        await registered.unregister()
        ran.add(name)
      } catch {}
    },
  }[way]
  const pause = (time) => new Promise((resolve) => setTimeout(resolve, time))
  const over = Promise.all(names.map((name) => embed(`${base}${name}?inline=1&way=${way}`, name)))
  if (!limit) await over.then(() => pause(100))
  for (const end = performance.now() + limit; ; await pause(20)) {
    const styled = getComputedStyle(document.body).getPropertyValue('--ran')
    if (styled) ran.add(styled.trim().slice(1, -1))
    if (names.every((name) => ran.has(name)) || performance.now() >= end) break
  }
  removeEventListener('message', hear)
  channel.close()
  document.body.replaceChildren()
  return [...ran].filter((name) => names.includes(name))
}
"""
WAYS = [
    *("script", "module", "import", "iframe", "object", "embed", "img", "style", "worker"),
    "service worker",
]
EVERYTHING = [(name, way) for way in WAYS for name in CONTENT]


def tries(
    page: "Page", base: str, attempts: Iterable[tuple[str, str]], *, limit: int = 0
) -> set[tuple[str, str]]:
    """Embed files in ways; return the files and the ways in which something ran.

    Wait so many milliseconds for all of it to run; without a limit, until all has been loaded.
    """
    names: dict[str, list[str]] = {}
    for name, way in attempts:
        names.setdefault(way, []).append(name)
    return {
        (name, way)
        for way in names
        for name in page.evaluate(EMBED, [base, names[way], way, limit])
    }


def open_page(context: "BrowserContext", url: str) -> "Page":
    """Open an empty page without a policy, as somebody could inject it there."""
    page = context.new_page()
    page.route(url, lambda route: route.fulfill(content_type="text/html", body="<body></body>"))
    page.goto(url)
    return page


def opens(page: "Page", url: str) -> bool:
    """Open a file itself; return whether its script ran."""
    page.goto("about:blank")
    with contextlib.suppress(Error):  # if it becomes a download, nothing is shown
        page.goto(url)
    return bool(page.url.endswith("#ran") or page.evaluate("window.ran === 1"))


@pytest.fixture(scope="module")
def server(start_module_server: Callable[..., LiveServer]) -> LiveServer:
    server = start_module_server(WORKERS="1")
    with server.client() as client:
        for name, content in CONTENT.items():
            if name in FOREIGN:
                (server.store / name).write_bytes(content)
            elif client.put(f"/upload/{name}", content=content).status_code == 415:
                (server.store / name).write_bytes(content)  # refused, so it comes by other means
    return server


def test_the_files_run_where_their_media_type_allows_it(
    new_context: "Callable[..., BrowserContext]", permissive: str
) -> None:
    context = new_context()
    running = {
        ("gif-js.gif", "script"),
        ("gif-js.gif", "service worker"),
        ("script.txt", "module"),
        ("script.js", "import"),
        ("script.js", "worker"),
        ("png-html.png", "iframe"),
        ("pdf-html.pdf", "iframe"),
        ("page.html", "object"),
        ("zip-pdf.zip", "iframe"),
        ("page.txt", "iframe"),
        ("picture.svg", "iframe"),
        ("style.css", "style"),
    }
    page = open_page(context, f"{permissive}/attack")
    assert tries(page, f"{permissive}/", running, limit=60_000) == running
    for name in ("png-html.png", "pdf-html.pdf", "zip-pdf.zip", "page.html", "picture.svg"):
        assert opens(page, f"{permissive}/{name}"), name


def test_nothing_runs_that_a_page_of_the_same_origin_embeds(
    new_context: "Callable[..., BrowserContext]", server: LiveServer
) -> None:
    page = open_page(new_context(), f"{server.url}/attack")
    assert tries(page, f"{server.url}/download/", EVERYTHING) == set()


@pytest.mark.thorough
def test_nothing_runs_that_a_page_of_another_origin_embeds(
    new_context: "Callable[..., BrowserContext]", server: LiveServer, permissive: str
) -> None:
    page = open_page(new_context(), f"{permissive}/attack")
    assert tries(page, f"{server.url}/download/", EVERYTHING) == set()


def test_nothing_runs_that_is_opened(
    new_context: "Callable[..., BrowserContext]", server: LiveServer
) -> None:
    page = new_context().new_page()
    for query in ("", "?inline=1"):
        for name in CONTENT:
            assert not opens(page, f"{server.url}/download/{name}{query}"), name
