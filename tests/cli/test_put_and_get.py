"""fileservice put, get, ls and rm: transfers that break off go on, and nothing false is kept."""

import fcntl
import hashlib
import io
import os
import random
import re
import secrets
import struct
import subprocess
import termios
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from fileservice.client import ClientError, Connection, Downloader
from fileservice.client.output_stream import OutputStream
from fileservice.client.progress import NoProgress
from fileservice.client.upload import SMALL
from tests.cli.clients import Person
from tests.support.faulty_proxy import FaultyProxy
from tests.support.ports import free_port
from tests.support.seaweed import SeaweedClient
from tests.support.servers import LiveServer, S3LiveServer
from tests.support.wire import eventually

SIZE = SMALL + (4 << 20)
HALF = SIZE // 2
FIELDS = 256 << 10
"""More bytes than the heads of the requests and responses have, and a block of the proxy."""


@pytest.fixture
def distant(proxy: FaultyProxy, tmp_path: Path) -> Person:
    """Somebody who reaches the service through the proxy."""
    return Person(f"http://127.0.0.1:{proxy.port}", tmp_path)


@pytest.fixture(scope="module")
def content() -> bytes:
    """A text that is too long to be sent in one request."""
    return random.Random(17).randbytes(SIZE // 2).hex().encode()


@pytest.fixture
def large(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "large.txt"
    path.write_bytes(content)
    return path


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    path = tmp_path / "fetched"
    path.mkdir()
    return path


def bytes_in(directory: Path) -> Callable[[], int]:
    """Return a function that returns the size of the largest file that is new in a directory."""
    old = set(directory.iterdir())

    def size() -> int:
        sizes = [0]
        for path in set(directory.iterdir()) - old:
            with suppress(FileNotFoundError):  # it has been renamed or removed meanwhile
                sizes.append(path.stat().st_size)
        return max(sizes)

    return size


def bytes_at(server: LiveServer) -> Callable[[], int]:
    """Return the same for the unfinished uploads of a server."""
    return bytes_in(server.store / ".fileservice/uploads")


def offset_in(errors: str) -> int:
    """Return the offset at which a command has said that it goes on."""
    [offset] = re.findall(r"going on at byte (\d+)", errors)
    return int(offset)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_files_come_back_as_they_were_sent(
    person: Person, server: LiveServer, large: Path, fetched: Path
) -> None:
    small = large.with_name("grüße, 100 %.txt")
    small.write_text("some text\n")
    empty = large.with_name("empty.txt")
    empty.touch()
    sent = person.json("put", large, small, empty)
    assert [one["state"] for one in sent] == ["stored"] * 3
    assert sent[0]["sha256"] == hashlib.sha256(large.read_bytes()).hexdigest()
    assert server.published() == ["empty.txt", "grüße, 100 %.txt", "large.txt"]

    by_name = person.json("get", "large.txt", "empty.txt", "-o", fetched)
    by_url = person.json("get", sent[1]["url"], "-o", fetched)
    assert all(one["verified"] for one in by_name + by_url)
    for path in (large, small, empty):
        assert (fetched / path.name).read_bytes() == path.read_bytes()
    assert names_in(fetched) == server.published()
    assert names_in(large.parent / "state/fileservice/uploads") == []


def test_url_of_what_is_stored_is_all_that_standard_output_has(
    person: Person, server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    done = person.run("put", tmp_path / "a.txt", f"{server.url}/upload/b.txt")
    assert done.stdout == f"{server.url}/download/b.txt\n"
    assert "stored" in done.stderr


def test_file_that_is_stored_already_is_no_error_and_another_one_is(
    person: Person, large: Path, content: bytes
) -> None:
    small = large.with_name("small.txt")
    small.write_text("some text\n")
    assert person.run("put", large, small).returncode == 0
    assert [one["state"] for one in person.json("put", large, small)] == ["unchanged"] * 2
    large.write_bytes(content[::-1])
    small.write_text("other text\n")
    done = person.run("put", large, small, "--json")
    assert done.returncode == 4
    assert done.stdout.count('"code": "name-taken"') == 2


def test_replace_stores_the_new_file_whether_there_is_an_old_one_or_not(
    person: Person, server: LiveServer, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    for text in ("old", "new"):
        path.write_text(text)
        assert person.run("put", path, "--replace").returncode == 0
    assert (server.store / "a.txt").read_text() == "new"


def test_local_file_with_another_content_is_replaced_only_by_force(
    person: Person, tmp_path: Path, fetched: Path
) -> None:
    (tmp_path / "a.txt").write_text("theirs")
    assert person.run("put", tmp_path / "a.txt").returncode == 0
    (fetched / "a.txt").write_text("mine")
    assert person.run("get", "a.txt", "-o", fetched).returncode == 4
    assert (fetched / "a.txt").read_text() == "mine"
    assert person.run("get", "a.txt", "-o", fetched, "--force").returncode == 0
    assert (fetched / "a.txt").read_text() == "theirs"
    assert person.json("get", "a.txt", "-o", fetched)[0]["state"] == "unchanged"


def test_upload_goes_on_after_the_client_was_killed(
    distant: Person, proxy: FaultyProxy, server: LiveServer, large: Path
) -> None:
    distant.kill_in_the_middle(proxy, HALF, bytes_at(server), "put", large)
    assert server.published() == []
    before = proxy.passed
    done = distant.run("put", large)
    assert done.returncode == 0, done.stderr
    assert offset_in(done.stderr) >= HALF // 2
    assert proxy.passed - before < SIZE - offset_in(done.stderr) + FIELDS
    assert (server.store / "large.txt").read_bytes() == large.read_bytes()


def test_upload_of_a_file_that_has_changed_since_begins_anew(
    distant: Person, proxy: FaultyProxy, server: LiveServer, large: Path, content: bytes
) -> None:
    distant.kill_in_the_middle(proxy, HALF, bytes_at(server), "put", large)
    large.write_bytes(content[::-1])
    assert distant.run("put", large).returncode == 0
    assert (server.store / "large.txt").read_bytes() == content[::-1]


def test_file_that_changes_while_it_is_sent_is_not_stored(
    distant: Person, proxy: FaultyProxy, server: LiveServer, large: Path, content: bytes
) -> None:
    proxy.silence_after = 1  # once the digest has been declared
    with distant.start("put", large) as process:
        eventually(lambda: proxy.mode == "silence")
        large.write_bytes(content[::-1])
        proxy.become("pass")
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "has changed while it was sent" in errors
    assert server.published() == []


def test_upload_whose_connections_break_is_complete_in_the_end(
    distant: Person, proxy: FaultyProxy, server: LiveServer, large: Path
) -> None:
    proxy.reset_after, proxy.resets = SIZE // 3, 2
    done = distant.run("put", large)
    assert done.returncode == 0, done.stderr
    assert "trying again" in done.stderr
    assert proxy.resets == 0
    assert (server.store / "large.txt").read_bytes() == large.read_bytes()


def test_two_commands_do_not_send_the_same_file_at_the_same_time(
    distant: Person, proxy: FaultyProxy, large: Path
) -> None:
    proxy.silence_after = HALF
    with distant.start("put", large) as process:
        eventually(lambda: proxy.mode == "silence")
        assert distant.run("put", large).returncode == 7
        proxy.become("pass")
        process.communicate()
    assert process.returncode == 0


def test_transfers_go_on_when_the_server_has_restarted(
    start_server: Callable[..., LiveServer], large: Path, fetched: Path
) -> None:
    server = start_server()
    with FaultyProxy(server.port) as proxy:
        person = Person(f"http://127.0.0.1:{proxy.port}", large.parent)
        for arguments in (("put", large), ("get", "large.txt", "-o", fetched)):
            proxy.silence_after = proxy.passed + HALF
            with person.start(*arguments) as process:
                eventually(lambda: proxy.mode == "silence")
                proxy.become("refuse")
                server.kill()
                server.start()
                proxy.become("pass")
                _, errors = process.communicate()
            assert process.returncode == 0, errors
            assert "trying again" in errors
    assert (fetched / "large.txt").read_bytes() == large.read_bytes()


def test_download_goes_on_after_the_client_was_killed(
    distant: Person, proxy: FaultyProxy, large: Path, fetched: Path
) -> None:
    assert distant.run("put", large).returncode == 0
    arguments = ("get", "large.txt", "-o", fetched)
    distant.kill_in_the_middle(proxy, HALF, bytes_in(fetched), *arguments)
    assert "large.txt" not in names_in(fetched)
    before = proxy.passed
    done = distant.run(*arguments)
    assert offset_in(done.stderr) >= HALF // 2
    assert proxy.passed - before < SIZE - offset_in(done.stderr) + FIELDS
    assert (fetched / "large.txt").read_bytes() == large.read_bytes()
    assert names_in(fetched) == ["large.txt"]


def test_download_of_a_file_that_was_replaced_since_has_only_the_new_bytes(
    distant: Person, proxy: FaultyProxy, large: Path, fetched: Path, content: bytes
) -> None:
    assert distant.run("put", large).returncode == 0
    arguments = ("get", "large.txt", "-o", fetched)
    distant.kill_in_the_middle(proxy, HALF, bytes_in(fetched), *arguments)
    large.write_bytes(content[::-1])
    assert distant.run("put", large, "--replace").returncode == 0
    assert distant.run("get", "large.txt", "-o", fetched).returncode == 0
    assert (fetched / "large.txt").read_bytes() == content[::-1]


def test_file_with_another_digest_than_it_should_have_is_not_kept(
    person: Person, server: LiveServer, tmp_path: Path, fetched: Path
) -> None:
    (tmp_path / "a.txt").write_text("some text\n")
    assert person.run("put", tmp_path / "a.txt").returncode == 0
    stored = server.store / "a.txt"
    status = stored.stat()
    stored.write_text("some tixt\n")
    os.utime(stored, ns=(status.st_atime_ns, status.st_mtime_ns))
    for place in (fetched, "-"):
        done = person.run("get", "a.txt", "-o", place)
        assert done.returncode == 3
        assert "SHA-256" in done.stderr
    assert names_in(fetched) == []


def test_standard_output_has_the_file_whatever_breaks(
    distant: Person, proxy: FaultyProxy, server: LiveServer, content: bytes
) -> None:
    (server.store / "large.txt").write_bytes(content)
    proxy.reset_after, proxy.resets = HALF, 1
    done = distant.run("get", "large.txt", "-o", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout == content.decode()
    assert "trying again" in done.stderr
    assert proxy.resets == 0
    assert distant.run("get", "large.txt", "-o", "-", "--json").returncode == 2


@pytest.mark.parametrize("buffer", [-1, pytest.param(0, id="as with python -u")])
def test_standard_output_that_does_not_block_is_waited_for(content: bytes, buffer: int) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def waiting() -> int:
        return int(struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, bytes(4)))[0])

    def read_when_it_is_full() -> bytes:
        eventually(lambda: waiting() == fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ))
        with os.fdopen(reading, "rb") as stream:
            return stream.read()

    with ThreadPoolExecutor() as executor:
        read = executor.submit(read_when_it_is_full)
        with os.fdopen(writing, "wb", buffering=buffer) as stream:
            output = OutputStream(stream)
            output.write(content)
            output.write(b"end")
        assert read.result() == content + b"end"
    assert output.sha256 == hashlib.sha256(content + b"end").digest()


def test_standard_output_of_a_file_that_is_replaced_meanwhile_ends_with_an_error(
    proxy: FaultyProxy, server: LiveServer, content: bytes
) -> None:
    (server.store / "large.txt").write_bytes(content)

    class Output(io.BytesIO):
        """When an eighth of the file is there, it is replaced, and the connection breaks."""

        def write(self, block: Any) -> int:
            if self.tell() < SIZE // 8 <= self.tell() + len(block):
                (server.store / "large.txt").unlink()
                (server.store / "large.txt").write_bytes(content[::-1])
                proxy.cut()
            return super().write(block)

    output, url = Output(), f"http://127.0.0.1:{proxy.port}/download/large.txt"
    with closing(Connection()) as connection, pytest.raises(ClientError, match="was replaced"):
        Downloader(connection, 60).download_to(url, output, NoProgress())
    assert len(output.getvalue()) >= SIZE // 8
    assert content.startswith(output.getvalue())


def test_file_whose_digest_the_service_does_not_know_is_fetched_and_said_to_be_so(
    person: Person, server: LiveServer, fetched: Path
) -> None:
    (server.store / "a.txt").write_text("put there by hand\n")
    [one] = person.json("get", "a.txt", "-o", fetched)
    assert not one["verified"]
    assert (fetched / "a.txt").read_text() == "put there by hand\n"


def test_disk_that_is_full_leaves_no_file_and_the_download_can_go_on(
    person: Person, root: None, large: Path, tmp_path: Path
) -> None:
    assert person.run("put", large).returncode == 0
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*mount, f"size={HALF}", "tmpfs", disk], check=True)
    try:
        done = person.run("get", "large.txt", "-o", disk)
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert not (disk / "large.txt").exists()
        subprocess.run([*mount, f"remount,size={2 * SIZE}", "tmpfs", disk], check=True)
        done = person.run("get", "large.txt", "-o", disk)
        assert "going on at byte" in done.stderr
        assert (disk / "large.txt").read_bytes() == large.read_bytes()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_ls_lists_what_it_is_asked_for_page_by_page(
    person: Person, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileservice.client.files._PAGE", "2")
    for name in ("a.txt", "b1.txt", "b2.txt", "b3.txt", "c.txt"):
        (server.store / name).write_text(name)
    assert [one["filename"] for one in person.json("ls", "b")] == ["b1.txt", "b2.txt", "b3.txt"]
    assert person.run("ls").stdout.count("\n") == 5
    largest = person.json("ls", "--sort", "-name")
    assert [one["filename"] for one in largest][:2] == ["c.txt", "b3.txt"]


def test_rm_deletes_files_by_name_and_url_and_reports_those_that_do_not_exist(
    person: Person, server: LiveServer
) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (server.store / name).write_text(name)
    done = person.run("rm", "a.txt", "none.txt", f"{server.url}/download/b.txt")
    assert done.returncode == 5
    assert server.published() == ["c.txt"]


@pytest.mark.parametrize("command", ["put", "get", "ls", "rm"])
def test_service_that_does_not_answer_is_given_up_on(tmp_path: Path, command: str) -> None:
    person = Person(f"http://127.0.0.1:{free_port()}", tmp_path)
    (tmp_path / "a.txt").write_text("some text\n")
    given = [] if command == "ls" else [tmp_path / "a.txt" if command == "put" else "b.txt"]
    done = person.run(command, *given, "--retry-for", "0s")
    assert done.returncode == 7
    assert "does not answer" in done.stderr


def test_name_that_leads_out_of_the_directory_is_refused(person: Person, fetched: Path) -> None:
    for name in ("..%2Fa.txt", ".bashrc", "a%0Ab.txt"):
        done = person.run("get", f"{person.url}/download/{name}", "-o", fetched)
        assert done.returncode == 1
        assert "--output" in done.stderr
    assert names_in(fetched) == []


@pytest.mark.thorough
def test_download_from_a_bucket_to_which_the_service_redirects_goes_on(
    seaweed: SeaweedClient,
    large: Path,
    fetched: Path,
) -> None:
    prefix = f"redirect-{secrets.token_hex(8)}"
    with FaultyProxy(seaweed.port) as proxy:
        settings = {"STORE_URL": seaweed.url(prefix, proxy.port), "DOWNLOAD_REDIRECT": "true"}
        server = S3LiveServer(seaweed, prefix, large.parent, settings)
        try:
            person = Person(server.url, large.parent)
            assert person.run("put", large).returncode == 0
            proxy.reset_after, proxy.resets = HALF, 1
            before = proxy.passed
            done = person.run("get", "large.txt", "-o", fetched)
        finally:
            server.kill()
        assert done.returncode == 0, done.stderr
        assert proxy.resets == 0
        assert proxy.passed - before < SIZE + HALF // 2
    assert (fetched / "large.txt").read_bytes() == large.read_bytes()
