"""The page's uploader against a tus server that others have written."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import MIB
from tests.support.servers import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

HERE = Path(__file__).parent
UPLOAD = """
async ([endpoint, breakAt]) => {
  const { TusUpload } = await import('/tus.js')
  const [file] = document.querySelector('input').files
  const aborter = new AbortController()
  const upload = new TusUpload(endpoint, file, {
    onProgress: (sent) => { if (breakAt && sent > breakAt) aborter.abort(new Error('broken off')) },
  })
  try {
    const answer = await upload.run(aborter.signal)
    return [upload.url, Number(answer.header('Upload-Offset'))]
  } catch (error) {
    if (error.message !== 'broken off') throw error
    const next = new TusUpload(endpoint, file, { url: upload.url })
    const answer = await next.run(new AbortController().signal)
    return [next.url, Number(answer.header('Upload-Offset'))]
  }
}
"""


@pytest.fixture(scope="module")
def other_server(
    tool: Callable[[str], str],
    npm_install: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Path]]:
    """The address of @tus/server's uploads, and the directory it keeps them in."""
    directory, files = npm_install(HERE), tmp_path_factory.mktemp("files")
    shutil.copy(HERE / "other_server.mjs", directory)
    with subprocess.Popen(
        [tool("node"), "other_server.mjs", str(files)],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/files", files
        process.kill()


class Scripts(SimpleHTTPRequestHandler):
    """The page's scripts, on an origin of their own, and a page with nothing but a file field."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Test</title><input type=file>")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """In silence."""


class Origin(ThreadingHTTPServer):
    """A server that does not report the connections that a closed browser resets."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionResetError):
            super().handle_error(request, client_address)


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    handler = partial(Scripts, directory=str(ROOT / "fileservice" / "web" / "static"))
    with Origin(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "break_at",
    [
        pytest.param(0, id="in one go", marks=pytest.mark.thorough),
        pytest.param(40 * MIB, id="broken off"),
    ],
)
def test_our_uploader_uploads_to_another_tus_server(
    new_context: "Callable[..., BrowserContext]",
    make_file: Callable[..., Path],
    other_server: tuple[str, Path],
    origin: str,
    break_at: int,
) -> None:
    endpoint, files = other_server
    page = new_context().new_page()
    page.goto(origin)
    file = make_file("a.bmp", 70 * MIB)
    page.set_input_files("input", str(file))
    url, offset = page.evaluate(UPLOAD, [endpoint, break_at])
    assert offset == 70 * MIB
    kept = files / url.rpartition("/")[2]
    assert kept.read_bytes() == file.read_bytes()
