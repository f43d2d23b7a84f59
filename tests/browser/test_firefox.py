"""The main flow in Firefox, which Playwright cannot drive where only Debian's is installed."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.access import EditedAccessFile
from tests.support.servers import LiveServer

HERE = Path(__file__).parent / "firefox"


@pytest.mark.thorough
def test_what_is_uploaded_and_shared_in_firefox_a_stranger_downloads(
    start_server: Callable[..., LiveServer],
    make_file: Callable[..., Path],
    tool: Callable[[str], str],
    npm_install: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    firefox, node = tool("firefox-esr"), tool("node")
    directory = npm_install(HERE)
    shutil.copy(HERE / "flow.mjs", directory)
    access = EditedAccessFile(tmp_path / "access.toml")
    token = access.set("ada", "list,read,write,share")["Authorization"].removeprefix("Bearer ")
    server = start_server(WORKERS="1", ANONYMOUS="none", ACCESS_FILE=str(access.path))
    file, downloads = make_file("report.txt", 5000), tmp_path / "downloads"
    downloads.mkdir()
    done = subprocess.run(
        [node, "flow.mjs", server.url, token, str(file), str(downloads), firefox],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {
        "errors": [],
        "listed": ["report.txt"],
        "landing": "report.txt",
        "uses": "This link works for one more download.",
    }
    assert (downloads / "report.txt").read_bytes() == file.read_bytes()
