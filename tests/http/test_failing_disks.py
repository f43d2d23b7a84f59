"""The service on disks that become read-only, full or dead, and on mounts that are lost."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.store_requests import (
    DELETE,
    FULL,
    GET,
    HEALTH,
    LIST,
    PUT,
    TEXT,
    UNAVAILABLE,
    is_healthy,
    listed,
    problem,
)
from tests.support.disk import Disk
from tests.support.people import AccessFileOnDisk, browser, sign_in, sign_out, status
from tests.support.servers import LiveServer
from tests.support.tus import Tus
from tests.support.wire import Wire, ask, eventually, request

pytestmark = pytest.mark.usefixtures("over_a_directory")


def kill_workers(server: LiveServer) -> None:
    server.kill_workers()


def reload(server: LiveServer) -> None:
    server.replace_workers()


def start_again(server: LiveServer) -> None:
    server.stop()
    server.start()


EVENTS = [
    kill_workers,
    pytest.param(reload, marks=pytest.mark.thorough),
    pytest.param(start_again, marks=pytest.mark.thorough),
]


@pytest.mark.parametrize("event", EVENTS)
def test_a_read_only_disk_serves_files_and_refuses_uploads_until_it_is_writable(
    disk: Disk, start_on: Callable[..., LiveServer], event: Callable[[LiveServer], None]
) -> None:
    server = start_on(disk.path)
    assert ask(server, request("PUT /upload/a.txt", body=TEXT)).status == 201
    disk.remount("ro")

    event(server)

    assert ask(server, GET).body == TEXT
    assert listed(server) == ["a.txt"]
    assert problem(server, PUT) == UNAVAILABLE
    assert problem(server, DELETE) == UNAVAILABLE
    assert problem(server, HEALTH) == UNAVAILABLE
    assert "read-only" in ask(server, HEALTH).json()["detail"]
    disk.remount("rw")
    assert ask(server, PUT).status == 201
    assert ask(server, DELETE).status == 204
    eventually(lambda: is_healthy(server))
    assert listed(server) == ["b.txt"]


def test_a_new_store_on_a_read_only_disk_is_served(
    disk: Disk, start_on: Callable[..., LiveServer]
) -> None:
    (disk.path / "a.txt").write_bytes(TEXT)
    disk.remount("ro")

    server = start_on(disk.path)

    assert f"the store {disk.path} cannot be written to at present" in server.log()
    assert ask(server, GET).body == TEXT
    assert problem(server, PUT) == UNAVAILABLE
    disk.remount("rw")
    assert ask(server, PUT).status == 201
    assert (disk.path / ".fileservice/identity").exists()


@pytest.fixture
def small_disk(root: None, tool: Callable[[str], str], tmp_path: Path) -> Iterator[Disk]:
    """A disk with few inodes."""
    for name in ("mkfs.ext4", "mount", "umount"):
        tool(name)
    disk = Disk(tmp_path, "-N", "64")
    disk.mount()
    yield disk
    disk.unmount()


def use_all_inodes(disk: Disk) -> Path:
    """Create files until no more can be created; return the directory in which they are."""
    directory = disk.path / "other"
    directory.mkdir()
    with contextlib.suppress(OSError):
        for number in range(1000):
            (directory / str(number)).touch()
    return directory


@pytest.mark.parametrize("event", EVENTS)
def test_a_disk_without_inodes_serves_and_deletes_files_and_refuses_uploads(
    small_disk: Disk, start_on: Callable[..., LiveServer], event: Callable[[LiveServer], None]
) -> None:
    server = start_on(small_disk.path / "store")
    assert ask(server, request("PUT /upload/a.txt", body=TEXT)).status == 201
    other = use_all_inodes(small_disk)

    event(server)

    assert ask(server, GET).body == TEXT
    assert listed(server) == ["a.txt"]
    assert problem(server, PUT) == FULL
    assert problem(server, HEALTH) == FULL
    (other / "0").rename(server.store / "c.txt")
    assert ask(server, request("DELETE /download/c.txt")).status == 204
    (other / "1").unlink()
    assert ask(server, PUT).status == 201
    eventually(lambda: is_healthy(server))


def test_a_browser_forgets_its_session_though_the_disk_cannot_record_the_end(
    small_disk: Disk, start_on: Callable[..., LiveServer], tmp_path: Path
) -> None:
    access_file = AccessFileOnDisk(tmp_path / "access.toml")
    server = start_on(
        small_disk.path / "store", ANONYMOUS="none", ACCESS_FILE=str(access_file.path)
    )
    with browser(server) as client:
        sign_in(client)
        first = httpx.Cookies(client.cookies)
        directory = use_all_inodes(small_disk)

        assert sign_in(client).status_code == 303
        assert dict(client.cookies) != dict(first)
        assert status(server, client.cookies) == 200
        assert server.log().count("the end of a session could not be recorded") == 1

        answer = sign_out(client)
        assert answer.status_code == 503
        assert "sign-out-incomplete" in answer.text
        assert "a copy of it" in answer.text
        assert dict(client.cookies) == {}
        assert server.log().count("the end of a session could not be recorded") == 2

        for number in range(3):  # for the directory of these records, and a record
            (directory / str(number)).unlink()
        sign_in(client)
        copied = httpx.Cookies(client.cookies)
        assert sign_out(client).status_code == 303
        assert status(server, copied) == 401


def test_a_browser_forgets_its_session_though_the_disk_is_lost(
    disk: Disk, start_on: Callable[..., LiveServer], tmp_path: Path
) -> None:
    access_file = AccessFileOnDisk(tmp_path / "access.toml")
    server = start_on(disk.path, ANONYMOUS="none", ACCESS_FILE=str(access_file.path))
    with browser(server) as client:
        sign_in(client)
        disk.lose()
        assert client.get("/sign-in").status_code == 200
        foreign = {"Origin": "https://elsewhere.example"}
        assert client.post("/sign-out", headers=foreign).status_code == 403
        assert dict(client.cookies)
        answer = sign_out(client)
        assert answer.status_code == 503
        assert "sign-out-incomplete" in answer.text
        assert dict(client.cookies) == {}
    disk.mount()


def test_a_lost_mount_is_reported_and_nothing_is_stored_in_its_mount_point(
    disk: Disk, start_on: Callable[..., LiveServer]
) -> None:
    server = start_on(disk.path)
    assert ask(server, request("PUT /upload/a.txt", body=TEXT)).status == 201
    with server.client() as client:
        upload = Tus(client).begin("c.txt", 10).removeprefix(server.url)
    asked = {
        "an upload": PUT,
        "a download": GET,
        "a deletion": DELETE,
        "the list": LIST,
        "health": HEALTH,
        "an unfinished upload": request(f"HEAD {upload}", "Tus-Resumable: 1.0.0"),
        "an upload that begins": request(
            "PUT /upload/e.txt", "Upload-Complete: ?0", "Upload-Length: 9", body=TEXT[:1]
        ),
    }
    writing = {name: asked[name] for name in ("an upload", "an upload that begins", "a deletion")}
    with Wire(server) as wire:
        wire.send(request("PUT /upload/d.txt", f"Content-Length: {len(TEXT)}") + TEXT[:-1])
        eventually(server.staged)
        disk.lose()
        wire.send(TEXT[-1:])
        assert wire.answer().code() == "storage-unavailable"

    eventually(lambda: not is_healthy(server))
    for event in (None, kill_workers, reload):
        if event:
            event(server)
        assert {name: ask(server, what).status for name, what in asked.items()} == dict.fromkeys(
            asked, 503
        )
        details = {name: ask(server, what).json()["detail"] for name, what in writing.items()}
        assert {name for name, text in details.items() if "mounted" in text} == set(writing)
        assert list(disk.path.iterdir()) == []
    assert str(disk.path) not in str(ask(server, PUT).json())
    assert f"{disk.path}/.fileservice/identity" in server.log()

    disk.mount()
    assert ask(server, GET).body == TEXT
    assert listed(server) == ["a.txt"]
    assert ask(server, PUT).status == 201
    eventually(lambda: is_healthy(server))
    with server.client() as client:
        assert Tus(client).offset(upload) == 0


def test_a_store_that_was_exchanged_for_another_is_not_written_to(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server, other = start_server(WORKERS="1"), start_server(STORE_URL=str(tmp_path / "other"))
    other.stop()
    server.store.rename(tmp_path / "away")
    other.store.rename(server.store)

    server.kill_workers()

    assert problem(server, PUT) == UNAVAILABLE
    assert server.published() == []


def test_the_identity_of_a_new_store_is_logged_and_can_be_required(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    server = start_server(STORE_URL=str(tmp_path / "empty"), WORKERS="1")
    identity = (server.store / ".fileservice/identity").read_text().strip()
    assert f"{server.store} has become a store, with the identity {identity}" in server.log()
    assert "mounted" in server.log()
    server.stop()

    again = start_server(STORE_URL=str(server.store), WORKERS="1", STORE_ID=identity)
    assert ask(again, PUT).status == 201
    assert identity not in again.log()
    with pytest.raises(RuntimeError, match=f"identity is {identity}, expected is {'0' * 32}"):
        start_server(STORE_URL=str(server.store), STORE_ID="0" * 32)
