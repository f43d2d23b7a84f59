"""wget: it resumes, takes the names that the service gives, and mirrors the index."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import LiveServer

NAME = "Größe, 100 %.txt"


@pytest.fixture
def wget(tool: Callable[[str], str], tmp_path: Path) -> Callable[..., str]:
    """Run wget in a directory of its own, and return what it says."""
    program = tool("wget")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, "--no-config", "--tries=1", *arguments],
            cwd=tmp_path,
            env={"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


@pytest.fixture
def content(server: LiveServer) -> bytes:
    """The bytes of a.txt and of a file with a name that has to be encoded."""
    content = random.Random(1).randbytes(100_000).hex().encode()
    for name in ("a.txt", NAME):
        (server.store / name).write_bytes(content)
    return content


def test_wget_resumes_a_download_and_fetches_nothing_of_a_complete_one(
    server: LiveServer, wget: Callable[..., str], content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(content[:70_000])
    said = wget("--continue", f"{server.url}/download/a.txt")
    assert "awaiting response... 206" in said
    assert "130000 (127K) remaining" in said
    assert (tmp_path / "a.txt").read_bytes() == content
    assert "already fully retrieved" in wget("--continue", f"{server.url}/download/a.txt")
    assert (tmp_path / "a.txt").read_bytes() == content


def test_wget_takes_the_name_from_content_disposition(
    server: LiveServer, wget: Callable[..., str], content: bytes, tmp_path: Path
) -> None:
    for name in ("a.txt", NAME):
        wget("--content-disposition", f"{server.url}/download/{name}?inline=0")
        assert (tmp_path / name).read_bytes() == content


def test_wget_mirrors_the_index_and_fetches_only_what_is_new(
    server: LiveServer, wget: Callable[..., str], content: bytes, tmp_path: Path
) -> None:
    mirror = ("--mirror", "--no-parent", "--no-host-directories", f"{server.url}/files/")
    wget(*mirror)
    (server.store / "b.txt").write_bytes(content)
    said = wget(*mirror)
    assert said.count("not modified on server") == 2
    for name in ("a.txt", "b.txt", NAME):
        assert (tmp_path / "files" / name).read_bytes() == content
