"""The calls in the README work when they are run in the order in which they stand."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.servers import ROOT, LiveServer

README = (ROOT / "README.md").read_text()


def calls() -> list[str]:
    """Return the lines of the README that call the service with curl."""
    return re.findall(r"^curl .+$", README, re.MULTILINE)


def test_calls_of_the_readme_succeed_one_after_the_other(
    start_server: Callable[..., LiveServer], sample: Callable[[str], Path], tmp_path: Path
) -> None:
    server = start_server()
    directory = tmp_path / "client"
    directory.mkdir()
    (directory / "report.pdf").write_bytes(sample("note.pdf").read_bytes())
    (directory / "notes.txt").write_text("Notes.\n")
    assert len(calls()) >= 6
    for call in calls():
        command = call.replace("http://localhost:8000", server.url).replace(
            "curl ", "curl -sSf ", 1
        )
        subprocess.run(["sh", "-c", command], cwd=directory, check=True, timeout=30)
    content = (directory / "report.pdf").read_bytes()
    assert (directory / "copy.pdf").read_bytes() == content
    assert (directory / "part.bin").read_bytes() == content[:1024]
    with server.client() as client:
        assert [file["filename"] for file in client.get("/download").json()] == ["notes.txt"]
