"""Archives of several files, unpacked by the programs that people have."""

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest

from tests.support.memory import growth_of
from tests.support.processes import open_files
from tests.support.requirements import require
from tests.support.servers import LiveServer
from tests.support.wire import ask, eventually, request

NAMES = ["a.txt", "b c.txt", "x.zip?.txt", "é-日.md"]


def fill(server: LiveServer, names: list[str] = NAMES) -> None:
    with server.client() as client:
        for name in names:
            assert client.put(f"/upload/{quote(name)}", content=b"text\n").status_code == 201


def target(*names: str, **query: str) -> str:
    return "/archive.zip?" + urlencode([*(("name", name) for name in names), *query.items()])


def unpacked(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_files_that_are_named_come_in_this_order(
    server: LiveServer, client: httpx.Client
) -> None:
    fill(server)
    answer = client.get(target("b c.txt", "é-日.md", "a.txt", "a.txt"))
    assert list(unpacked(answer)) == ["b c.txt", "é-日.md", "a.txt"]
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="files.zip"'
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_prefix_and_q_choose_files_as_they_do_in_the_list(
    server: LiveServer, client: httpx.Client
) -> None:
    fill(server)
    assert list(unpacked(client.get(target(prefix="b")))) == ["b c.txt"]
    assert list(unpacked(client.get(target(q="TXT")))) == ["a.txt", "b c.txt", "x.zip_.txt"]
    assert len(unpacked(client.get(target(prefix="")))) == len(NAMES)
    assert unpacked(client.get(target(prefix="none"))) == {}


def test_head_tells_the_length(server: LiveServer, client: httpx.Client) -> None:
    fill(server)
    head, got = client.head(target(q="t")), client.get(target(q="t"))
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert head.content == b""


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "bad-request"),
        ("?name=a.txt&q=a", 400, "bad-request"),
        ("?name=missing.txt", 404, "not-found"),
        ("?name=a.txt&name=..%2Fa.txt", 404, "not-found"),
        ("?name=.fileservice", 404, "not-found"),
    ],
)
def test_what_cannot_be_archived_is_refused_before_a_byte_is_sent(
    server: LiveServer, query: str, status: int, code: str
) -> None:
    fill(server)
    answer = ask(server, request(f"GET /archive.zip{query}"))
    assert (answer.status, answer.code()) == (status, code)


@pytest.mark.parametrize("program", [("unzip", "-qq"), ("7z", "x", "-bso0")], ids=lambda p: p[0])
def test_programs_unpack_it(
    server: LiveServer, client: httpx.Client, tmp_path: Path, program: tuple[str, ...]
) -> None:
    if not shutil.which(program[0]):
        require(f"{program[0]} is not installed: no archive was unpacked by it")
    fill(server)
    (tmp_path / "files.zip").write_bytes(client.get(target(*NAMES)).content)
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    subprocess.run([*program, "files.zip"], cwd=tmp_path, check=True, env=environment)
    names = {path.name for path in tmp_path.iterdir()} - {"files.zip"}
    assert names == {name.replace("?", "_") for name in NAMES}


def test_a_file_that_goes_meanwhile_breaks_the_transfer_off(
    server: LiveServer,
) -> None:
    (server.store / "a.bin").write_bytes(bytes(64 << 20))  # more than all buffers hold
    fill(server, ["b.txt"])
    with httpx.stream("GET", server.url + target("a.bin", "b.txt")) as answer:
        blocks = answer.iter_raw()
        next(blocks)
        (server.store / "b.txt").unlink()
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in blocks:
                pass
    assert f"{'b.txt'}" in server.log()


@pytest.mark.usefixtures("over_a_directory")
def test_a_client_that_goes_leaves_no_file_open(server: LiveServer) -> None:
    (server.store / "a.bin").write_bytes(bytes(64 << 20))

    def is_open() -> bool:
        opened = set[str]().union(*(open_files(worker) for worker in server.workers()))
        return any(name.endswith("/a.bin") for name in opened)

    with httpx.stream("GET", server.url + target("a.bin")) as answer:
        blocks = answer.iter_raw()  # the connection is closed with this iterator
        next(blocks)
        assert is_open()
    eventually(lambda: not is_open())


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("over_a_directory")
def test_five_gigabytes_and_five_thousand_files_come_in_flat_memory(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = start_server(WORKERS="1")
    with (server.store / "0-large.bin").open("wb") as file:
        file.truncate(5 << 30)
    for number in range(5000):
        (server.store / f"{number:04}.txt").write_bytes(b"text\n")
    curl = ["curl", "--silent", "--fail", "--dump-header", "head"]
    count, end = 0, b""
    with (
        growth_of(server.workers()[0]) as growth,
        subprocess.Popen(
            [*curl, server.url + target(prefix="")], cwd=tmp_path, stdout=subprocess.PIPE
        ) as client,
    ):
        assert client.stdout is not None
        while piece := client.stdout.read(1 << 20):
            count += len(piece)
            end = (end + piece)[-22:]
    assert client.returncode == 0
    assert f"Content-Length: {count}\r\n".encode() in (tmp_path / "head").read_bytes()
    assert count > 5 << 30
    assert end.startswith(b"PK\5\6")
    assert growth.bytes < 40 << 20
