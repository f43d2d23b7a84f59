"""StagedCommand: a program says whether a file is published, and gets nothing else."""

import gc
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import Content
from fileservice.upload import FileFacts, HookUnavailable, RefusedByHook, StagedCommand
from tests.support.requirements import require
from tests.support.rows import every_row
from tests.support.wire import eventually

TEXT = b"some text\n" * 1000
ENVIRON = {
    "PATH": os.environ["PATH"],
    "LANG": "C.UTF-8",
    "FILESERVICE_SECRET_KEY": "hunter2",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "LD_PRELOAD": "/nowhere.so",
}


FIRST_PROGRAM = """
import os, signal, sys
sys.path[:] = sys.argv[1:]
import gevent.monkey, gevent.select, gevent.signal, gevent.subprocess
from fileservice.upload import RefusedByHook
from tests.upload.test_staged_command import check

def run():
    gevent.monkey.patch_all(socket=False, ssl=False)
    signal.alarm(60)
    try:
        check("exit 1")
    except RefusedByHook:
        os._exit(0)

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # so that the program may run first
statuses = []
for _ in range(4):
    process = os.fork()
    if not process:
        run()
    statuses.append(os.waitpid(process, 0)[1])
print(statuses)
"""


PROGRAM_OF_ANOTHER_USER = """
import os, signal, sys
program, sys.path[:] = sys.argv[1], sys.argv[2:]
from pathlib import Path
from fileservice.upload import HookUnavailable, StagedCommand, staged_command
from tests.upload.test_staged_command import ENVIRON, children, descriptor_of, facts

signal.alarm(100)
staged_command._KILL_SECONDS = 1.0
staged_command._MAX_LEFT = 2
command = StagedCommand([program, "--reuid=1", "sleep", "300"], 0.5, ENVIRON)

def call():
    try:
        command(descriptor, facts())
    except HookUnavailable:
        return
    sys.exit("the file was accepted")

def running():
    return sum(process.poll() is None for process in command._left)

def leave(count):
    while (before := running()) < count:
        call()
        if running() == before:  # it was killed, as it had not yet become another user
            command._timeout *= 2

with descriptor_of() as descriptor:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    leave(2)
    call()
    print(children(), flush=True)
    sys.stdin.readline()
    leave(1)
    print(children(), flush=True)
    sys.stdin.readline()
    os._exit(0)  # this user may not remove the file
"""


def facts(name: str = "note.txt", size: int = len(TEXT)) -> FileFacts:
    content = Content("text/plain", "utf-8", bytes(range(32)))
    return FileFacts(FileName.parse(name), size, content, "token:ci")


@contextmanager
def descriptor_of(content: bytes = TEXT) -> Iterator[int]:
    """A descriptor for reading only, as a store opens it; its offset is at the end."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        descriptor = os.open(file.name, os.O_RDONLY)
        try:
            os.lseek(descriptor, 0, os.SEEK_END)
            yield descriptor
        finally:
            os.close(descriptor)


def check(script: str, *arguments: str, timeout: float = 60, name: str = "note.txt") -> None:
    """Ask a shell script about TEXT."""
    command = StagedCommand(["/bin/sh", "-c", script, "sh", *arguments], timeout, ENVIRON)
    with descriptor_of() as descriptor:
        command(descriptor, facts(name))


def open_descriptors() -> set[str]:
    gc.collect()  # or what other tests have left is closed between two calls
    links = list(Path("/proc/self/fd").iterdir())
    return {str(link.readlink()) for link in links if link.is_symlink()}


def children() -> str:
    return Path("/proc/thread-self/children").read_text()


def test_exit_status_0_accepts_the_file(capfd: pytest.CaptureFixture[str]) -> None:
    check("exit 0")
    check("echo to clients; echo to the log >&2")
    assert capfd.readouterr() == ("", "")


def test_program_reads_the_whole_file_from_its_standard_input(tmp_path: Path) -> None:
    check('cat > "$1"', str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == TEXT


def test_program_gets_the_facts_as_json(tmp_path: Path) -> None:
    check('printf %s "$STAGED_FILE" > "$1"', str(tmp_path / "facts"), name="für ' $(id).txt")
    assert json.loads((tmp_path / "facts").read_text()) == {
        "name": "für ' $(id).txt",
        "size": len(TEXT),
        "type": "text/plain",
        "charset": "utf-8",
        "sha-256": bytes(range(32)).hex(),
        "principal": "token:ci",
    }


def test_program_has_no_other_variables(tmp_path: Path) -> None:
    command = StagedCommand(["/usr/bin/env"], 60, ENVIRON)
    with descriptor_of() as descriptor:
        command(descriptor, facts())
    check('tr "\\0" "\\n" < /proc/self/environ > "$1"', str(tmp_path / "environ"))
    names = {line.partition("=")[0] for line in (tmp_path / "environ").read_text().splitlines()}
    assert {"PATH", "LANG", "STAGED_FILE"} <= names
    assert names <= {"PATH", "LANG", "STAGED_FILE", "PWD", "SHLVL", "_", "OLDPWD"}
    assert "hunter2" not in (tmp_path / "environ").read_text()


def test_program_cannot_write_through_its_descriptor() -> None:
    check('! echo more >&0 2> /dev/null && test "$(head -c 9)" = "some text"')


def test_program_inherits_no_other_descriptors(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)  # as gunicorn's listeners are
    os.set_inheritable(writing, True)
    try:
        check('for fd in /proc/$$/fd/*; do echo "${fd##*/}"; done > "$1"', str(tmp_path / "list"))
    finally:
        os.close(reading)
        os.close(writing)
    found = {int(line) for line in (tmp_path / "list").read_text().split()}
    assert {0, 1, 2} <= found
    assert not {reading, writing} & found


def test_program_has_the_signal_handling_of_a_new_one(tmp_path: Path) -> None:
    check('grep -E "^Sig(Blk|Ign)" /proc/self/status > "$1"', str(tmp_path / "signals"))
    masks = [line.split()[1] for line in (tmp_path / "signals").read_text().splitlines()]
    own = (1 << 31) - 1  # the two that follow belong to the C library
    assert [int(mask, 16) & own for mask in masks] == [0, 0]  # Python ignores SIGPIPE


@every_row(
    ("script", "reason"),
    [
        ("echo no cats; echo and no dogs; exit 1", "no cats"),
        ("printf 'a\\tb\\033[31mc\\000d\\r\\n'; exit 1", "ab[31mcd"),
        ("printf '\\303\\244\\377'; exit 1", "ä\ufffd"),
        ("printf '\\n'; exit 1", "the operator of this service does not accept it"),
        ("exit 1", "the operator of this service does not accept it"),
        ("printf '%05000d' 1; exit 1", "0" * 300),
    ],
)
def test_exit_status_1_refuses_the_file_with_the_first_line(script: str, reason: str) -> None:
    with pytest.raises(RefusedByHook) as refused:
        check(script)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("script", "logged"),
    [
        ("echo for clients; echo for the log >&2; exit 2", "status 2. for the log"),
        ("exit 127", "status 127"),
        ("kill -9 $$", "signal 9"),
        ("kill -PIPE $$", "signal 13"),
    ],
)
def test_other_ends_are_failures_that_the_log_explains(
    script: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(HookUnavailable) as failed:
        check(script)
    assert "clients" not in str(failed.value)
    assert logged in caplog.text
    assert "'note.txt'" in caplog.text


def test_log_keeps_the_beginning_of_what_the_program_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(HookUnavailable):
        check("yes complaint | head -c 10000000 >&2; yes | head -c 10000000; exit 3")
    assert "status 3. complaint" in caplog.text
    assert len(caplog.text) < 6000


def test_program_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    before = open_descriptors()
    with descriptor_of() as descriptor, pytest.raises(HookUnavailable):
        StagedCommand([str(tmp_path / "gone")], 60, ENVIRON)(descriptor, facts())
    assert open_descriptors() == before


def test_program_that_takes_too_long_is_killed_with_its_group(tmp_path: Path) -> None:
    script, ids = 'sleep 1000 & echo "$$ $!" > "$1"; wait', tmp_path / "ids"
    ids.touch()
    seconds = 1.5
    while not ids.read_text():  # a shell that has not begun by then has left nothing to look at
        with pytest.raises(HookUnavailable):
            check(script, str(ids), timeout=seconds)
        seconds *= 3
    for process in ids.read_text().split():
        eventually(lambda process=process: not is_running(process))  # type: ignore[misc]


def test_program_of_another_user_cannot_be_killed_and_holds_up_nothing() -> None:
    """As by sudo: a program with the set-user-ID bit that takes on another user altogether."""
    if os.geteuid() != 0:
        require("only root can make programs with the set-user-ID bit")
    found = shutil.which("setpriv")
    if found is None:
        require("setpriv is not installed (Debian's util-linux)")
    assert found
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # into which others may look
        Path(directory).chmod(0o755)
        program = shutil.copy(found, directory)
        Path(program).chmod(0o4755)
        run = [sys.executable, "-c", PROGRAM_OF_ANOTHER_USER, program, *sys.path]
        with subprocess.Popen(
            run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            left = process.stdout.readline().split()
            end(left)
            process.stdin.write("\n")
            process.stdin.flush()
            others = process.stdout.readline().split()
            end(others)
            _, errors = process.communicate("\n")
    assert process.returncode == 0, errors
    assert len(left) == 2, "the third is not started"
    assert len(others) == 1, "when these have ended, another one is"
    assert errors.count("could not be killed, and goes on") == 3
    assert "2 programs of ON_STAGED that could not be killed have not ended" in errors


def end(processes: Iterable[str]) -> None:
    for process in processes:
        os.kill(int(process), signal.SIGKILL)
        eventually(lambda process=process: not is_running(process))  # type: ignore[misc]


def test_what_the_program_leaves_behind_is_killed(tmp_path: Path) -> None:
    check('sleep 1000 & echo $! > "$1"', str(tmp_path / "id"))  # it has the outputs open
    process = (tmp_path / "id").read_text().strip()
    eventually(lambda: not is_running(process))


def is_running(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_process_and_no_descriptor_is_left() -> None:
    before = open_descriptors(), children()
    for script in ("exit 0", "exit 1", "exit 2", "kill -9 $$"):
        with suppress(RefusedByHook, HookUnavailable):
            check(script)
    assert (open_descriptors(), children()) == before


def test_program_is_run_without_a_shell(tmp_path: Path) -> None:
    program = tmp_path / "a program"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.exit(sys.argv[1:] != ['a b', '$HOME', ';', 'rm *'])\n"
    )
    program.chmod(stat.S_IRWXU)
    with descriptor_of() as descriptor:
        StagedCommand([str(program), "a b", "$HOME", ";", "rm *"], 60, ENVIRON)(descriptor, facts())


@pytest.mark.thorough
def test_first_program_of_a_process_with_gevent_may_end_at_once() -> None:
    """gevent only handles the ends of children from its first one on."""
    run = [sys.executable, "-c", FIRST_PROGRAM, *sys.path]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout) == (0, "[0, 0, 0, 0]\n"), ended.stderr


def test_several_threads_can_run_it_at_the_same_time(tmp_path: Path) -> None:
    """Each waits for all others, so none would end if one waited for another."""
    script = 'touch "$1/$$"; until [ $(ls "$1" | wc -l) = 4 ]; do sleep 0.05; done'
    threads = [threading.Thread(target=check, args=(script, str(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 4
