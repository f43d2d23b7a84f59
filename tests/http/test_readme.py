"""The calls in the README work when they are run in the order in which they stand."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fileservice.access import read_rules
from tests.support.servers import ROOT, LiveServer

README = (ROOT / "README.md").read_text()


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    return README.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def calls() -> list[str]:
    """Return the lines of the quick start that call the service with curl."""
    return re.findall(r"^curl .+$", section("Quick start"), re.MULTILINE)


def shell(script: str, directory: Path, url: str = "", **environ: str) -> str:
    """Run lines of the README, and return their output; curl fails if an answer is an error."""
    script = script.replace("http://localhost:8000", url).replace("curl ", "curl -sSf ")
    script = script.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_calls_of_the_readme_succeed_one_after_the_other(
    start_server: Callable[..., LiveServer], sample: Callable[[str], Path], tmp_path: Path
) -> None:
    server = start_server(ANONYMOUS="")
    directory = tmp_path / "client"
    directory.mkdir()
    (directory / "report.pdf").write_bytes(sample("note.pdf").read_bytes())
    (directory / "notes.txt").write_text("Notes.\n")
    assert len(calls()) >= 5
    for call in calls():
        shell(call, directory, server.url)
    content = (directory / "report.pdf").read_bytes()
    assert (directory / "copy.pdf").read_bytes() == content
    assert (directory / "part.bin").read_bytes() == content[:1024]
    assert server.published() == ["notes.txt", "report.pdf"]


def test_commands_of_the_readme_require_a_token(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    [block] = re.findall(r"```sh\n(.+?)```", section("Requiring a token"), re.DOTALL)
    prepare, _, use = block.partition("make serve &\n")
    assert "FILESERVICE_ANONYMOUS=none" in prepare
    secret = shell(prepare + 'printf %s "$secret"', tmp_path)
    path = tmp_path / "access.toml"
    server = start_server(ANONYMOUS="none", ACCESS_FILE=str(path))
    (server.store / "report.pdf").write_bytes(b"x")
    with server.client() as client:
        assert client.get("/download").status_code == 401
    shell(use, tmp_path, server.url, secret=secret, FILESERVICE_ACCESS_FILE=str(path))
    assert server.published() == []
    assert read_rules(path).tokens == {}
