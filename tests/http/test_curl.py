"""Real clients: curl and aria2c."""

import hashlib
import os
import random
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.servers import LiveServer
from tests.support.wire import assert_holds_only

TEXT = b"some text\n"


@pytest.fixture
def curl(server: LiveServer, tool: Callable[[str], str], tmp_path: Path):
    """Run curl in the test's directory: `curl("-I", "/download/a.txt")`."""
    program = tool("curl")

    def run(*arguments: str, stdin: bytes = b"", fails: int = 0) -> str:
        paths = [server.url + a if a.startswith(("/download", "/upload")) else a for a in arguments]
        done = subprocess.run(
            [program, "--no-progress-meter", *paths],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == fails, done.stderr.decode()
        return done.stdout.decode() + done.stderr.decode()

    return run


@pytest.fixture
def big(server: LiveServer) -> bytes:
    """The bytes of big.txt, which is stored: 8 MiB of which no two lines are the same."""
    lines = (b"%031x\n" % number for number in range(262_144))
    data = b"".join(lines)
    (server.store / "big.txt").write_bytes(data)
    return data


def test_curl_uploads_a_form_with_its_f_option(
    curl, server: LiveServer, sample, tmp_path: Path
) -> None:
    (tmp_path / "Übersicht 1.pdf").write_bytes(sample("note.pdf").read_bytes())
    assert " 201 " in curl("-i", "-F", "file=@Übersicht 1.pdf", "-F", "comment=hello", "/upload")
    assert_holds_only(server, ["Übersicht 1.pdf"])
    curl("-f", "-F", "file=@Übersicht 1.pdf;filename=b.pdf;type=text/html", "/upload")
    assert_holds_only(server, ["b.pdf", "Übersicht 1.pdf"])


def test_curl_uploads_a_file_with_its_t_option(
    curl, server: LiveServer, sample, tmp_path: Path
) -> None:
    (tmp_path / "sample.pdf").write_bytes(sample("note.pdf").read_bytes())
    curl("-f", "-T", "sample.pdf", "/upload/")
    curl("-f", "-T", "sample.pdf", "/upload/other.pdf")
    assert_holds_only(server, ["other.pdf", "sample.pdf"])
    assert (server.store / "other.pdf").read_bytes() == sample("note.pdf").read_bytes()


def test_curl_uploads_from_a_pipe(curl, server: LiveServer) -> None:
    text = TEXT * 50_000
    curl("-f", "-T", "-", "/upload/a.txt", stdin=text)
    assert (server.store / "a.txt").read_bytes() == text


def test_curl_uploads_with_data_binary(curl, server: LiveServer) -> None:
    curl("-f", "--data-binary", "@-", "/upload/a.txt", stdin=TEXT)
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_an_error_fails_curl_with_its_f_option(curl, server: LiveServer) -> None:
    curl("-f", "-T", "-", "/upload/a.txt", stdin=TEXT)
    said = curl("--fail-with-body", "-T", "-", "/upload/a.txt", stdin=TEXT, fails=22)
    assert '"code": "name-taken"' in said


def test_curl_downloads_ranges(curl, big: bytes) -> None:
    assert curl("-r", "32-63", "/download/big.txt").encode() == big[32:64]
    assert curl("-r", "-32", "/download/big.txt").encode() == big[-32:]
    several = curl("-i", "-r", "0-31,64-95", "/download/big.txt").encode()
    assert b"multipart/byteranges" in several
    assert big[:32] in several
    assert big[64:96] in several


def test_curl_resumes_a_download_that_was_cut(
    curl, server: LiveServer, tool: Callable[[str], str], big: bytes, tmp_path: Path
) -> None:
    command = [tool("curl"), "--no-progress-meter", f"{server.url}/download/big.txt"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        (tmp_path / "part.txt").write_bytes(process.stdout.read(1_000_000))
        process.kill()
    said = curl("-f", "-C", "-", "-D", "-", "-o", "part.txt", "/download/big.txt")
    assert " 206 " in said
    assert (tmp_path / "part.txt").read_bytes() == big


def test_curl_saves_a_file_under_the_name_of_content_disposition(
    curl, server: LiveServer, tmp_path: Path
) -> None:
    (server.store / "my notes.txt").write_bytes(TEXT)
    curl("-f", "-OJ", "/download/my%20notes.txt?inline=1")
    assert (tmp_path / "my notes.txt").read_bytes() == TEXT


def test_curl_skips_a_file_that_was_not_modified(curl, server: LiveServer, tmp_path: Path) -> None:
    (server.store / "a.txt").write_bytes(TEXT)
    curl("-f", "-R", "-o", "a.txt", "/download/a.txt")
    assert " 304 " in curl("-i", "-z", "a.txt", "/download/a.txt")
    os.utime(server.store / "a.txt", (2_000_000_000, 2_000_000_000))
    assert " 200 " in curl("-i", "-z", "a.txt", "/download/a.txt")


def test_curl_skips_a_file_whose_entity_tag_it_knows(curl, server: LiveServer) -> None:
    (server.store / "a.txt").write_bytes(TEXT)
    arguments = ("--etag-save", "etag", "--etag-compare", "etag", "/download/a.txt")
    assert TEXT.decode() in curl(*arguments)
    assert " 304 " in curl("-i", *arguments)


def test_curl_gets_the_headers_alone(curl, big: bytes) -> None:
    head = curl("-I", "/download/big.txt")
    assert head.startswith("HTTP/1.1 200 ")
    assert re.search(rf"^content-length: {len(big)}\r$", head, re.IGNORECASE | re.MULTILINE)


def test_curl_deletes_a_file(curl, server: LiveServer) -> None:
    (server.store / "a.txt").write_bytes(TEXT)
    assert " 204 " in curl("-i", "-X", "DELETE", "/download/a.txt")
    assert_holds_only(server, [])


def test_curl_waits_for_100_continue(curl, server: LiveServer) -> None:
    said = curl(
        "-v", "-H", "Expect: 100-continue", "--expect100-timeout", "30", "-T", "-", "/upload/a.txt",
        stdin=TEXT,
    )  # fmt: skip
    assert said.index("100 Continue") < said.index("HTTP/1.1 201")
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_one_connection_carries_many_requests(curl, server: LiveServer) -> None:
    said = curl("-v", *(f"/download/{number}.txt" for number in range(20)))
    assert said.count("404") >= 20
    assert said.count("Connected to") == 1


LARGE = 64 << 20


@pytest.fixture
def large(server: LiveServer) -> str:
    """The SHA-256 of large.bmp, which is stored: 64 MiB."""
    data = random.Random(1).randbytes(LARGE)
    (server.store / "large.bmp").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_aria2c_puts_a_file_together_from_eight_connections(
    server: LiveServer, tool: Callable[[str], str], large: str, tmp_path: Path
) -> None:
    subprocess.run(
        [
            tool("aria2c"), "--no-conf", "-x8", "-s8", "-k1M", "--file-allocation=none",
            f"--dir={tmp_path}", "--out=large", f"{server.url}/download/large.bmp",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert digest_of(tmp_path / "large") == large


def test_eight_ranges_at_once_put_a_file_together(curl, large: str, tmp_path: Path) -> None:
    step = LARGE // 8
    ranges = [f"{at}-{at + step - 1}" for at in range(0, LARGE, step)]
    with ThreadPoolExecutor(len(ranges)) as threads:
        list(threads.map(lambda r: curl("-f", "-r", r, "-o", r, "/download/large.bmp"), ranges))
    together = hashlib.sha256(b"".join((tmp_path / r).read_bytes() for r in ranges))
    assert together.hexdigest() == large
