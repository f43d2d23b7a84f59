"""fileservice put: what is sent beside files, which is standard input and directories."""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from fileservice.client import Address, Connection, UploadTarget, upload_stream
from fileservice.client.progress import NoProgress
from fileservice.client.upload import SMALL
from tests.cli import commands
from tests.cli.clients import Person
from tests.cli.commands import Done
from tests.support.faulty_proxy import FaultyProxy
from tests.support.servers import LiveServer
from tests.support.wire import eventually

SIZE = SMALL + (4 << 20)


@pytest.fixture(scope="module")
def content() -> bytes:
    """A text that is too long to be sent in one request."""
    return random.Random(18).randbytes(SIZE // 2).hex().encode()


def put(person: Person, given: bytes, *arguments: object) -> Done:
    """Send what another program writes."""
    return commands.run("put", "-", *arguments, given=given.decode(), **person.variables)


def uploads(server: LiveServer) -> dict[str, int]:
    """What the server keeps of unfinished uploads: names and sizes."""
    kept: dict[str, int] = {}
    for path in (server.store / ".fileservice/uploads").iterdir():
        with suppress(FileNotFoundError):
            kept[path.name] = path.stat().st_size
    return kept


@pytest.mark.parametrize("name", ["--name", "url"])
def test_standard_input_is_stored_under_the_name_that_is_given(
    person: Person, server: LiveServer, name: str
) -> None:
    given = ["--name", "a.txt"] if name == "--name" else [f"{server.url}/upload/a.txt"]
    done = put(person, b"some text\n", *given)
    assert (done.returncode, done.stdout) == (0, f"{server.url}/download/a.txt\n"), done.stderr
    assert (server.store / "a.txt").read_text() == "some text\n"


def test_standard_input_without_a_name_is_refused(person: Person, server: LiveServer) -> None:
    done = put(person, b"some text\n")
    assert done.returncode == 2
    assert "--name" in done.stderr
    assert server.published() == []


@pytest.mark.parametrize("size", [SIZE, pytest.param(SMALL, marks=pytest.mark.thorough), 0])
def test_standard_input_of_any_length_comes_back_as_it_was(
    person: Person, server: LiveServer, content: bytes, size: int
) -> None:
    done = put(person, content[:size], "--name", "a.txt", "--json")
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert (described["file"], described["state"], described["size"]) == ("-", "stored", size)
    assert described["sha256"] == hashlib.sha256(content[:size]).hexdigest()
    assert (server.store / "a.txt").read_bytes() == content[:size]


def test_name_that_is_taken_is_refused_or_replaced(
    person: Person, server: LiveServer, content: bytes
) -> None:
    (server.store / "a.txt").write_text("theirs")
    for given in (b"some text\n", content):
        assert put(person, given, "--name", "a.txt").returncode == 4
        assert (server.store / "a.txt").read_text() == "theirs"
    for given in (b"some text\n", content):
        assert put(person, given, "--name", "a.txt", "--replace").returncode == 0
        assert (server.store / "a.txt").read_bytes() == given


def test_block_whose_connection_breaks_is_sent_again(
    person: Person, server: LiveServer, proxy: FaultyProxy, content: bytes
) -> None:
    proxy.reset_after, proxy.resets = SMALL // 2, 2
    distant = Person(f"http://127.0.0.1:{proxy.port}", person.directory)
    done = put(distant, content, "--name", "a.txt")
    assert done.returncode == 0, done.stderr
    assert "trying again" in done.stderr
    assert proxy.resets == 0
    assert (server.store / "a.txt").read_bytes() == content


class DamagingConnection(Connection):
    """Changes a byte of the first block on its way."""

    def request(self, method: str, *given: Any, **options: Any) -> Any:
        if method == "PATCH" and not hasattr(self, "damaged"):
            self.damaged = True
            options["body"] = b"x" + options["body"][1:]
        return super().request(method, *given, **options)


def test_block_that_is_damaged_on_its_way_does_not_count_and_is_sent_again(
    server: LiveServer, content: bytes
) -> None:
    with closing(DamagingConnection()) as connection:
        target = UploadTarget(connection, Address(server.url), retry_seconds=60)
        uploaded = upload_stream(target, io.BytesIO(content), "a.txt", NoProgress())
        assert connection.damaged
    assert uploaded.sha256 == hashlib.sha256(content).digest()
    assert (server.store / "a.txt").read_bytes() == content


def test_pipe_that_does_not_block_is_read_to_its_end(server: LiveServer, content: bytes) -> None:
    """Another program that has the pipe, such as ssh, may have made it so."""
    given, (reading, writing) = content[: 1 << 20], os.pipe()
    os.set_blocking(reading, False)

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for start in range(0, len(given), 1000):
                pipe.write(given[start : start + 1000])

    writer = threading.Thread(target=write)
    with closing(Connection()) as connection, os.fdopen(reading, "rb") as pipe:
        target = UploadTarget(connection, Address(server.url), retry_seconds=60)
        writer.start()
        uploaded = upload_stream(target, pipe, "a.txt", NoProgress())
    writer.join()
    assert uploaded.size == len(given)
    assert (server.store / "a.txt").read_bytes() == given


def test_content_that_is_refused_leaves_nothing_behind(
    person: Person, server: LiveServer, content: bytes
) -> None:
    done = put(person, content[:SMALL] + b"\0\1\2" * SMALL, "--name", "a.txt")
    assert done.returncode == 1
    assert "not" in done.stderr
    assert server.published() == []


def test_interrupted_upload_is_ended(person: Person, server: LiveServer, content: bytes) -> None:
    before = uploads(server)
    with person.start("put", "-", "--name", "a.txt", stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(content[: SMALL + 1].decode())
        process.stdin.flush()
        eventually(lambda: SMALL in dict(uploads(server).items() - before.items()).values())
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 1
    assert server.published() == []
    # What other tests have left there may still change.
    eventually(lambda: uploads(server).keys() <= before.keys())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with files at several depths, and what is not sent."""
    folder = tmp_path / "folder"
    (folder / "2026" / "May").mkdir(parents=True)
    (folder / "2026" / "empty").mkdir()
    (folder / ".git").mkdir()
    for path in ("a.txt", "2026/b.txt", "2026/May/c, d.txt", ".git/e.txt", ".hidden.txt"):
        (folder / path).write_text(path)
    (folder / "link.txt").symlink_to(folder / "a.txt")
    os.mkfifo(folder / "pipe.txt")
    return folder


def test_files_in_a_directory_have_its_path_in_their_names(
    person: Person, server: LiveServer, folder: Path
) -> None:
    found = person.json("put", "--recursive", folder)
    assert server.published() == ["2026-May-c, d.txt", "2026-b.txt", "a.txt"]
    assert (server.store / "2026-May-c, d.txt").read_text() == "2026/May/c, d.txt"
    skipped = {one["file"]: one["reason"] for one in found if one["state"] == "skipped"}
    assert skipped == {
        f"{folder}/.git": "it is hidden",
        f"{folder}/.hidden.txt": "it is hidden",
        f"{folder}/link.txt": "it is a symbolic link",
        f"{folder}/pipe.txt": "it is not a file",
    }
    again = person.json("put", "-r", folder)
    assert [one["state"] for one in again if one["state"] != "skipped"] == ["unchanged"] * 3


def test_file_of_a_directory_that_cannot_be_stored_keeps_no_other_from_it(
    person: Person, server: LiveServer, folder: Path
) -> None:
    (folder / "2026-b.txt").write_text("the name of 2026/b.txt")
    (folder / "bad\u202ename.txt").write_text("")
    (folder / "Makefile").write_text("")
    done = person.run("put", "-r", folder)
    assert done.returncode == 1
    assert f"{folder}/2026-b.txt: {folder}/2026/b.txt has the same name" in done.stderr
    assert "Makefile: " in done.stderr
    assert server.published() == ["2026-May-c, d.txt", "2026-b.txt", "a.txt"]
    assert (server.store / "2026-b.txt").read_text() == "2026/b.txt"


def test_directory_needs_the_option_and_takes_no_name(
    person: Person, server: LiveServer, folder: Path
) -> None:
    done = person.run("put", folder)
    assert done.returncode == 1
    assert "--recursive" in done.stderr
    assert person.run("put", "-r", folder, "--name", "a.txt").returncode == 2
    assert server.published() == []
