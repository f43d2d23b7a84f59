"""ON_STAGED over HTTP: a command decides on every way in, and the documented one works."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import httpx
import pytest

from tests.support.links import LinkMaker
from tests.support.servers import ROOT, LiveServer
from tests.support.tus import Tus
from tests.support.ways_in import WAYS, Way, form, put
from tests.support.wire import eventually
from tests.upload.test_staged_command import is_running

Start = Callable[..., LiveServer]
GOOD = b"a text without the word\n" * 3
BAD = GOOD + b"forbidden\n" + GOOD
MIB = 1 << 20

SCRIPT = """
import json, os, signal, sys, time
facts = json.loads(os.environ["STAGED_FILE"])
descriptors = [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
inherited = {
    "descriptors": descriptors,
    "environ": list(os.environ),
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "group": os.getpgid(0),
}
content = sys.stdin.buffer.read()
with open(sys.argv[1], "a") as log:
    noted = {**facts, **inherited, "bytes": len(content), "pid": os.getpid()}
    log.write(json.dumps(noted) + "\\n")
if facts["name"].startswith("slow"):
    time.sleep(1000)
if b"crash" in content:
    print("the program has failed", file=sys.stderr)
    sys.exit(3)
if b"forbidden" in content:
    print("the word <forbidden> is not allowed")
    sys.exit(1)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hook")
    (directory / "hook.py").write_text(SCRIPT)
    return directory


@pytest.fixture(scope="module")
def checked(start_module_server: Start, directory: Path) -> LiveServer:
    return start_module_server(ON_STAGED=command(directory))


def command(directory: Path) -> str:
    return f"{sys.executable} '{directory}/hook.py' '{directory}/log'"


@pytest.fixture
def client(checked: LiveServer) -> Iterator[httpx.Client]:
    checked.clear()
    with checked.client() as client:
        yield client


def seen(directory: Path) -> list[dict[str, object]]:
    """Return what the command has noted, one entry for each file."""
    log = directory / "log"
    if not log.exists():
        return []
    complete, _, _ = log.read_text().rpartition("\n")  # a line may just be written
    return [json.loads(line) for line in complete.splitlines()]


def names(client: httpx.Client) -> list[str]:
    return [file["filename"] for file in client.get("/download").json()]


def assert_no_children(server: LiveServer) -> None:
    """After a while there are none. Zombies are children, too."""

    def children() -> str:
        tasks = [task for pid in server.workers() for task in Path(f"/proc/{pid}/task").iterdir()]
        return "".join((task / "children").read_text() for task in tasks)

    eventually(lambda: not children())


@pytest.mark.parametrize("way", WAYS)
def test_command_decides_on_every_way_in(client: httpx.Client, way: Way) -> None:
    answer = way(client, "note.txt", BAD)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "refused-by-hook")
    assert problem["reason"] == "the word <forbidden> is not allowed"
    assert names(client) == []

    assert way(client, "note.txt", GOOD).status_code in (201, 204)
    assert client.get("/download/note.txt").content == GOOD


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS)
def test_command_decides_on_every_way_of_replacing(client: httpx.Client, way: Way) -> None:
    etag = put(client, "note.txt", GOOD).headers["ETag"]
    assert way(client, "note.txt", BAD, etag).json()["code"] == "refused-by-hook"
    assert client.get("/download/note.txt").content == GOOD


@pytest.mark.parametrize("way", [put, form])
def test_command_decides_on_files_of_guests(
    checked: LiveServer, client: httpx.Client, directory: Path, way: Way
) -> None:
    link = LinkMaker.of(checked).upload()
    headers = {"Authorization": f"Bearer {link.secret}"}
    with httpx.Client(base_url=checked.url, headers=headers) as guest:
        assert way(guest, "from-note.txt", BAD).json()["code"] == "refused-by-hook"
    assert names(client) == []
    principal = str(seen(directory)[-1]["principal"])
    assert link.id in principal
    assert link.secret not in (directory / "log").read_text()


@pytest.mark.parametrize("size", [0, 1000, 9 * MIB])
def test_command_reads_all_bytes_of_a_file(
    client: httpx.Client, directory: Path, size: int
) -> None:
    content = b"0123456789abcde\n" * (size // 16)
    answer = put(client, "note.txt", content)
    assert answer.status_code == 201, answer.text
    facts = seen(directory)[-1]
    assert facts["bytes"] == facts["size"] == len(content)
    assert facts["name"] == "note.txt"
    assert facts["type"] == "text/plain"


def test_command_inherits_nothing_of_the_worker(client: httpx.Client, directory: Path) -> None:
    put(client, "note.txt", GOOD)
    noted = seen(directory)[-1]
    assert sorted(noted["descriptors"]) == ["0", "1", "2"]  # type: ignore[call-overload]
    variables = {"PATH", "LANG", "LC_ALL", "TZ", "STAGED_FILE", "LC_CTYPE"}  # Python sets the last
    assert set(noted["environ"]) <= variables  # type: ignore[call-overload]
    assert noted["blocked"] == []
    assert noted["group"] == noted["pid"]


def test_page_shows_the_reason_as_text(client: httpx.Client) -> None:
    page = client.put("/upload/note.txt", content=BAD, headers={"Accept": "text/html"})
    assert "the word &lt;forbidden&gt; is not allowed" in page.text
    assert "<forbidden>" not in page.text


def test_failure_is_explained_in_the_log_only(checked: LiveServer, client: httpx.Client) -> None:
    answer = put(client, "note.txt", b"crash")
    assert (answer.status_code, answer.json()["code"]) == (503, "hook-unavailable")
    assert "failed" not in answer.text
    assert "ON_STAGED has ended with status 3. the program has failed" in checked.log()


def test_program_that_takes_too_long_is_killed(start_server: Start, directory: Path) -> None:
    server = start_server(ON_STAGED=command(directory), ON_STAGED_TIMEOUT="2s")
    with server.client() as client:
        answer = put(client, "slow.txt", GOOD)
        assert (answer.status_code, answer.json()["code"]) == (503, "hook-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert names(client) == []
    assert "ON_STAGED has not ended within 2 seconds" in server.log()
    assert_no_children(server)  # it may have been killed before it noted its id


def test_commands_hold_up_no_other_requests_and_end_with_the_service(
    start_server: Start, directory: Path
) -> None:
    server = start_server(
        ON_STAGED=command(directory), ON_STAGED_TIMEOUT="1h", MAX_STAGED_CHECKS="2",
        GRACE_PERIOD="1s",
    )  # fmt: skip
    before = len(seen(directory))

    def upload(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=120, verify=False) as own:
            put(own, f"slow {number}.txt", GOOD)

    with ThreadPoolExecutor(20) as threads, server.client() as client:
        futures = [threads.submit(upload, number) for number in range(20)]
        eventually(lambda: len(seen(directory)) == before + 2)
        for _ in range(20):
            assert client.get("/download").json() == []
            assert client.get("/healthz").status_code == 200
        started = [entry["pid"] for entry in seen(directory)[before:]]
        assert len(started) == 2
        server.stop()
        for future in futures:
            future.exception()
    for process in started:
        eventually(lambda process=process: not Path(f"/proc/{process}").exists())  # type: ignore[misc]
    assert server.published() == []


def test_no_process_is_left_as_a_zombie(checked: LiveServer, client: httpx.Client) -> None:
    for content in (GOOD, BAD, b"crash"):
        put(client, "note.txt", content)
    assert_no_children(checked)


@pytest.mark.parametrize("times", [10, pytest.param(50, marks=pytest.mark.thorough)])
def test_end_of_a_program_that_ends_at_once_is_never_missed(
    start_server: Start, times: int
) -> None:
    """The event loop learns of it before anything can wait for it."""
    server = start_server(ON_STAGED="/bin/false", ON_STAGED_TIMEOUT="1h", IDLE_TIMEOUT="1h")

    def codes(count: int) -> list[str]:
        with server.client() as client:
            return [put(client, "note.txt", GOOD).json()["code"] for _ in range(count)]

    with ThreadPoolExecutor(4) as threads:
        assert set(chain.from_iterable(threads.map(codes, [times] * 4))) == {"refused-by-hook"}
    assert_no_children(server)


def test_upload_that_could_not_be_checked_is_checked_again(
    start_server: Start, tmp_path: Path
) -> None:
    server = start_server(ON_STAGED=str(write_program(tmp_path, "exit 3")))
    with server.client() as client:
        tus = Tus(client)
        url = tus.begin(length=len(GOOD))
        assert tus.patch(url, 0, GOOD).json()["code"] == "hook-unavailable"
        assert names(client) == []
        write_program(tmp_path, "exit 0")
        assert tus.patch(url, len(GOOD)).status_code == 204
        assert names(client) == ["note.txt"]


@pytest.mark.thorough
def test_upload_is_checked_again_after_a_kill_in_the_middle_of_its_check(
    start_server: Start, tmp_path: Path
) -> None:
    """Whatever the command says that nobody waits for any more, nothing is published unchecked."""
    started, pipe = tmp_path / "started", tmp_path / "pipe"
    program = write_program(tmp_path, f"echo $$ >> '{started}'; read line < '{pipe}'; exit 0")
    os.mkfifo(pipe)
    server = start_server(ON_STAGED=str(program), UPLOAD_EXPIRY="1h")
    with server.client() as client:
        url = httpx.URL(Tus(client).begin("by tus.txt", length=len(GOOD))).path

    def upload() -> httpx.Response:
        with server.client() as client:
            return put(client, "note.txt", GOOD)

    def append() -> httpx.Response:
        with server.client() as client:
            return Tus(client).patch(url, 0, GOOD)

    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(upload), threads.submit(append)]
        eventually(lambda: started.exists() and started.read_text().count("\n") == 2)
        server.kill()
        for answer in answers:
            with pytest.raises(httpx.TransportError):
                answer.result()
    end_waiting(pipe, started.read_text().split())

    write_program(tmp_path, f"echo $$ >> '{started}'; exit 0")
    server.start()
    with server.client() as client:
        assert names(client) == []
        # The lock of the process that was killed lasts for some seconds in a bucket.
        eventually(lambda: Tus(client).patch(url, len(GOOD)).status_code == 204)
        assert names(client) == ["by tus.txt"]
        assert client.get("/download/by tus.txt").content == GOOD
    assert started.read_text().count("\n") == 3


def write_program(directory: Path, script: str) -> Path:
    """Return a program that runs the script; one that is running goes on with the old one."""
    program, new = directory / "program", directory / "new"
    new.write_text(f"#!/bin/sh\n{script}\n")
    new.chmod(0o700)
    new.rename(program)
    return program


def end_waiting(pipe: Path, processes: list[str]) -> None:
    """Have those that read a line from the pipe go on, and wait until they have ended."""
    descriptor = os.open(pipe, os.O_RDWR)  # does not wait for them
    try:
        os.write(descriptor, b"\n" * len(processes))
        for process in processes:
            eventually(lambda process=process: not is_running(process))  # type: ignore[misc]
    finally:
        os.close(descriptor)


def test_documented_command_works_as_written(start_server: Start, tmp_path: Path) -> None:
    text = (ROOT / "docs/operating.md").read_text()
    [script] = re.findall(
        r"```python\n(#!/usr/bin/env python3\n.*?STAGED_FILE.*?)```", text, re.DOTALL
    )
    program = tmp_path / "no-drafts"
    program.write_text(script)
    program.chmod(0o755)
    server = start_server(ON_STAGED=str(program))
    with server.client() as client:
        refused = put(client, "contract.txt", b"a contract\nDRAFT\n" * 20)
        assert refused.json()["code"] == "refused-by-hook", server.log()
        assert refused.json()["reason"] == "contract.txt is marked as a draft"
        assert put(client, "contract.txt", GOOD).status_code == 201
