"""What was acknowledged survives a power cut, and a cut leaves the old state or the new one."""

import contextlib
import hashlib
import itertools
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.storage.local import writeback
from tests.faults.uploads import DATA, RAW, SMALL, UPLOADS, SmallUploads, some_is_staged
from tests.support.disk import Disk
from tests.support.servers import LiveServer
from tests.support.system_calls import traced
from tests.support.tus import BYTES, VERSION, Tus
from tests.support.wire import Wire, ask, assert_holds_only, eventually, request, sha256

pytestmark = pytest.mark.usefixtures("over_a_directory")


def after_a_power_cut(
    disk: Disk, server: LiveServer, act: Callable[[LiveServer], None]
) -> list[str]:
    """Act, cut the power at once, and start again: the names that are there then."""
    act(server)
    disk.cut_power()
    server.kill()
    disk.power_up()
    return server.published()


@pytest.mark.parametrize("upload", UPLOADS)
def test_an_acknowledged_upload_survives_a_power_cut(
    disk: Disk, start_server: Callable[..., LiveServer], upload: bytes
) -> None:
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")

    def act(server: LiveServer) -> None:
        assert ask(server, upload).status == 201

    assert after_a_power_cut(disk, server, act) == ["a.txt"]
    assert (server.store / "a.txt").read_bytes() == DATA
    server.start()
    assert not server.staged()
    answer = ask(server, request("GET /download/a.txt"))
    assert (answer.status, answer.body) == (200, DATA)
    assert "Repr-Digest" in answer.headers
    server.stop()


def test_uploads_at_the_same_time_that_are_acknowledged_survive_a_power_cut(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    """They share the syncs of the directory."""
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")
    with SmallUploads(server) as uploads:
        survived = after_a_power_cut(disk, server, lambda _server: uploads.wait_for(100))
    acknowledged = uploads.acknowledged
    assert acknowledged <= set(survived)
    for name in acknowledged:
        assert (server.store / name).read_text() == name


def test_a_repeated_upload_is_acknowledged_only_once_the_file_is_durable(
    root: None,
    tool: Callable[[str], str],
    disk: Disk,
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
) -> None:
    """The first request dies between the name and the sync of the directory it stands in."""
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")
    repeated = request("PUT /upload/a.txt", f"Repr-Digest: {sha256(DATA)}", body=DATA)
    disk.sync()  # the directory itself is there

    def act(server: LiveServer) -> None:
        (pid,) = server.workers()
        waits = "--trace=fsync", "--inject=fsync:delay_enter=60s:when=2"  # it is killed long before
        with Wire(server) as wire:
            with traced(tool("strace"), pid, tmp_path / "calls", *waits, end=signal.SIGKILL):
                wire.send(repeated)
                eventually(lambda: server.published() == ["a.txt"])
                os.kill(pid, signal.SIGKILL)
            assert wire.ended()
        eventually(lambda: server.workers() and pid not in server.workers())
        assert ask(server, repeated).status == 200

    assert after_a_power_cut(disk, server, act) == ["a.txt"]
    assert (server.store / "a.txt").read_bytes() == DATA


def test_without_fsync_a_power_cut_loses_what_was_acknowledged(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(
        STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0", FSYNC="false"
    )
    disk.sync()

    def act(server: LiveServer) -> None:
        assert ask(server, RAW).status == 201
        assert server.published() == ["a.txt"]

    lost = after_a_power_cut(disk, server, act)
    assert lost == [] or (server.store / "a.txt").read_bytes() != DATA
    assert "FSYNC" in server.log()


def test_an_acknowledged_deletion_survives_a_power_cut(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")

    def act(server: LiveServer) -> None:
        assert ask(server, RAW).status == 201
        assert ask(server, request("DELETE /download/a.txt")).status == 204

    assert after_a_power_cut(disk, server, act) == []


def test_an_acknowledged_replacement_survives_a_power_cut(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")

    def act(server: LiveServer) -> None:
        assert ask(server, request("PUT /upload/a.txt", body=DATA[::-1])).status == 201
        assert ask(server, request("PUT /upload/a.txt", "If-Match: *", body=DATA)).status == 200

    assert after_a_power_cut(disk, server, act) == ["a.txt"]
    assert (server.store / "a.txt").read_bytes() == DATA
    server.start()
    assert not server.staged()
    assert ask(server, request("GET /download/a.txt")).body == DATA
    server.stop()


def test_a_replacement_whose_name_cannot_be_synced_leaves_the_old_file(
    root: None,
    tool: Callable[[str], str],
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
) -> None:
    secret = "fs_" + "s" * 43
    rules = tmp_path / "access.toml"
    rules.write_text(
        f'[tokens.ci]\nhash = "sha256:{hashlib.sha256(secret.encode()).hexdigest()}"\n'
        'scopes = ["read", "write", "delete"]\nquota = { bytes = "2MiB", files = 2 }\n'
    )
    server = start_server(WORKERS="1", ACCESS_FILE=str(rules))
    shown = f"Authorization: Bearer {secret}"
    first = ask(server, request("PUT /upload/a.txt", shown, body=DATA[::-1]))
    assert first.status == 201
    replacing = request("PUT /upload/a.txt", shown, f"If-Match: {first.headers['ETag']}", body=DATA)
    (pid,) = server.workers()

    fails = "--trace=fsync", "--inject=fsync:error=EIO:when=2"  # the first one is that of the bytes
    with traced(tool("strace"), pid, tmp_path / "calls", *fails):
        refused = ask(server, replacing)

    assert (refused.status, refused.code()) == (503, "storage-unavailable")
    assert ask(server, request("GET /download/a.txt")).body == DATA[::-1]
    assert_holds_only(server, ["a.txt"])
    assert ask(server, replacing).status == 200
    assert ask(server, request("GET /download/a.txt")).body == DATA
    # What was reserved for the refused one counts until it has lapsed: the disk is not trusted.
    assert ask(server, request("PUT /upload/b.txt", shown, body=b"x")).code() == "quota-exceeded"
    assert ask(server, request("DELETE /download/a.txt", shown)).status == 204
    assert_holds_only(server, [])


@pytest.mark.parametrize(
    "acknowledged", [1, *(pytest.param(n, marks=pytest.mark.thorough) for n in (2, 3, 5, 8, 13))]
)
def test_a_power_cut_while_a_file_is_replaced_leaves_the_old_bytes_or_the_new_ones(
    disk: Disk, start_server: Callable[..., LiveServer], acknowledged: int
) -> None:
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")
    versions = [b"%07d\n" % number * (1 << 16) for number in range(1000)]
    answered = itertools.count()
    last = next(answered)

    def replace_until_the_server_is_gone() -> None:
        nonlocal last
        with contextlib.suppress(OSError, AssertionError), Wire(server) as wire:
            for data in versions[1:]:
                if wire.ask(request("PUT /upload/a.txt", "If-Match: *", body=data)).status != 200:
                    return
                last = next(answered)

    def act(server: LiveServer) -> None:
        assert ask(server, request("PUT /upload/a.txt", body=versions[0])).status == 201
        replacing.start()
        eventually(lambda: last >= acknowledged)

    replacing = threading.Thread(target=replace_until_the_server_is_gone)
    assert after_a_power_cut(disk, server, act) == ["a.txt"]
    replacing.join()
    # One more may have become durable, whose answer was not sent any more.
    assert (server.store / "a.txt").read_bytes() in versions[last : last + 2]
    server.start()
    assert not server.staged()
    server.stop()


def test_an_upload_cut_by_a_power_cut_leaves_nothing(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="1", MIN_FREE_SPACE="0")
    with Wire(server) as wire:

        def act(server: LiveServer) -> None:
            wire.send(RAW[:-1])
            eventually(lambda: some_is_staged(server))
            disk.sync()

        assert after_a_power_cut(disk, server, act) == []
    server.start()
    assert_holds_only(server, [])
    server.stop()


@pytest.mark.parametrize(
    ("died", "fsync"),
    [
        pytest.param(False, True, id="answered"),
        pytest.param(True, True, id="reported by HEAD after a crash"),
        pytest.param(False, False, id="control without fsync", marks=pytest.mark.thorough),
        pytest.param(
            True, False, id="control after a crash without fsync", marks=pytest.mark.thorough
        ),
    ],
)
def test_an_acknowledged_offset_survives_a_power_cut(
    disk: Disk, start_server: Callable[..., LiveServer], died: bool, fsync: bool
) -> None:
    server = start_server(
        STORE_URL=str(disk.path / "store"),
        WORKERS="1",
        MIN_FREE_SPACE="0",
        FSYNC=str(fsync).lower(),
    )
    half = len(DATA) // 2
    with server.client() as client:
        tus = Tus(client)
        url = tus.begin("a.txt", len(DATA))
        disk.sync()  # the control is to lose bytes, not the upload
        if died:
            with Wire(server) as wire:
                wire.send(tus_patch(server, url, len(DATA)) + DATA[:half])
                eventually(lambda: tus.offset(url) == half)
                os.kill(server.workers()[0], signal.SIGKILL)
    with server.client() as client:
        tus = Tus(client)
        if not died:
            tus.patch(url, 0, DATA[:half])
        promised = tus.offset(url)
        assert promised == half
    disk.cut_power()
    server.kill()
    disk.power_up()
    if not fsync:
        upload = server.store / ".fileservice/uploads" / url.rpartition("/")[2]
        assert upload.read_bytes() != DATA[:half]
        return
    server.start()
    with server.client() as client:
        tus = Tus(client)
        assert tus.offset(url) == promised
        assert tus.patch(url, promised, DATA[promised:]).status_code == 204
        assert client.get("/download/a.txt").content == DATA
    server.stop()


@pytest.mark.thorough
def test_the_list_is_complete_after_a_power_cut_that_damaged_its_index(
    disk: Disk, start_server: Callable[..., LiveServer]
) -> None:
    names = [f"{number:04}.txt" for number in range(4000)]
    store = disk.path / "store"
    store.mkdir()
    for name in names:
        (store / name).touch()
    os.utime(store, (0, 1_000_000_000))  # long ago, so that the index is kept
    disk.sync()
    server = start_server(STORE_URL=str(store), WORKERS="1", MIN_FREE_SPACE="0")
    os.utime(store, (0, 1_000_000_000))  # the store was begun
    index = store / ".fileservice" / "names"

    def act(server: LiveServer) -> None:
        assert ask(server, request("GET /download")).status == 200
        with index.open("rb") as file:
            writeback.begin(file.fileno(), 0, 8192)  # as the kernel does in its own time
        with server.client() as client:
            Tus(client).begin("a.txt", 1)  # what it syncs brings the index's name to the disk

    after_a_power_cut(disk, server, act)
    whole = len(names) * len("0000.txt\n")
    assert 0 < index.stat().st_size < whole, "the control: the index was not damaged"
    server.start()
    for asked in ("GET /download", "GET /download?limit=10000"):
        answer = ask(server, request(asked))
        assert [file["filename"] for file in answer.json()] == names
    server.stop()


def tus_patch(server: LiveServer, url: str, length: int) -> bytes:
    """The head of a PATCH that brings so many bytes from the first on."""
    fields = VERSION | BYTES | {"Upload-Offset": "0", "Content-Length": str(length)}
    return request(
        f"PATCH {url.removeprefix(server.url)}", *(f"{n}: {v}" for n, v in fields.items())
    )


def spans(log: str, pattern: str) -> list[tuple[int, int]]:
    """The first and last line of every call that matches, also where others ran meanwhile."""
    found, lines = [], log.splitlines()
    for begin, line in enumerate(lines):
        pid, _, call = line.partition(" ")
        if not re.match(pattern, call.strip()):
            continue
        end = begin
        if "<unfinished" in line:
            resumed = re.compile(rf"{pid} +<\.\.\. ")
            end = next(i for i in range(begin + 1, len(lines)) if resumed.match(lines[i]))
        assert re.search(r"= \d+", lines[end]), lines[end]
        found.append((begin, end))
    return found


@pytest.mark.parametrize("upload", [*UPLOADS, pytest.param(SMALL, id="small")])
def test_bytes_are_synced_before_the_name_and_the_name_before_the_answer(
    root: None,
    tool: Callable[[str], str],
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
    upload: bytes,
) -> None:
    server = start_server(WORKERS="1")
    (pid,) = server.workers()
    calls = "write,pwrite64,writev,fsync,fdatasync,link,linkat,rename,renameat2,send,sendto,sendmsg"
    with (
        Wire(server) as wire,
        traced(tool("strace"), pid, tmp_path / "calls", "-y", "-s", "64", f"--trace={calls}"),
    ):
        assert wire.ask(upload).status == 201
        # The call that sends the answer has ended when the next request is answered.
        assert wire.ask(request("HEAD /download/a.txt")).status == 200
    log = (tmp_path / "calls").read_text()
    store = re.escape(str(server.store))
    staged = rf"{store}/\.fileservice/staging/[0-9a-f]+"
    writes = spans(log, rf"p?writev?(64)?\(\d+<{staged}")
    (synced,) = spans(log, rf"f(data)?sync\(\d+<{staged}")
    (linked,) = spans(log, rf'link(at)?\(.*"{store}/a\.txt"')
    (directory_synced,) = spans(log, rf"fsync\(\d+<{store}>")
    (answered,) = spans(log, r'(send(to|msg)?|writev?)\(.*"HTTP/1\.1 201')
    assert writes
    order = [writes[-1], synced, linked, directory_synced, answered]
    assert all(one[1] < other[0] for one, other in itertools.pairwise(order)), log
    assert not spans(log, r"rename")
