"""The file in which a running service records the addresses it listens on."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fileservice import healthcheck, listener_file
from fileservice.listener_file import Listener
from tests.support.wire import eventually


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_written_listeners_are_read() -> None:
    listener_file.write([("127.0.0.1", 8000), ("::1", 8000, 0, 0), "/run/socket"], tls=True)
    assert listener_file.read_all() == [
        Listener(("127.0.0.1", 8000), tls=True),
        Listener(("::1", 8000), tls=True),
        Listener("/run/socket", tls=True),
    ]


def test_writing_again_replaces_the_file(temporary: Path) -> None:
    listener_file.write([("127.0.0.1", 8000)], tls=True)
    listener_file.write([("127.0.0.1", 9000)], tls=False)
    assert listener_file.read_all() == [Listener(("127.0.0.1", 9000), tls=False)]
    assert len(list(temporary.iterdir())) == 1


def test_relative_path_is_recorded_for_any_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    listener_file.write(["socket"], tls=False)
    assert listener_file.read_all() == [Listener(str(tmp_path / "socket"), tls=False)]


def test_abstract_socket_is_recorded_by_its_name() -> None:
    listener_file.write([b"\0fileservice"], tls=False)
    assert listener_file.read_all() == [Listener("\0fileservice", tls=False)]


def test_only_the_user_can_read_the_file(temporary: Path) -> None:
    listener_file.write([("127.0.0.1", 8000)], tls=False)
    [path] = temporary.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_removed_file_has_no_listeners(temporary: Path) -> None:
    listener_file.write([("127.0.0.1", 8000)], tls=False)
    listener_file.remove()
    assert listener_file.read_all() == []
    assert list(temporary.iterdir()) == []
    listener_file.remove()


def test_file_that_cannot_be_written_leaves_nothing_behind(temporary: Path) -> None:
    with pytest.raises(TypeError):
        listener_file.write([object()], tls=False)
    assert list(temporary.iterdir()) == []


def test_file_of_a_process_that_has_ended_is_ignored(temporary: Path) -> None:
    listener_file.write([("127.0.0.1", 8000)], tls=False)
    [path] = temporary.iterdir()
    ended = subprocess.Popen(["true"])
    ended.wait(60)
    path.rename(path.with_name(f"fileservice-{os.getuid()}-{ended.pid}.json"))
    assert listener_file.read_all() == []


def test_file_of_a_process_whose_id_another_one_has_now_is_ignored(temporary: Path) -> None:
    listener_file.write([("127.0.0.1", 8000)], tls=False)
    [path] = temporary.iterdir()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:  # until the pipe is closed
        path.rename(path.with_name(f"fileservice-{os.getuid()}-{other.pid}.json"))
        assert listener_file.read_all() == []


def test_file_of_a_process_that_was_killed_and_not_waited_for_is_ignored(temporary: Path) -> None:
    code = "from fileservice import listener_file as f; f.write([('::1', 80)], tls=False); input()"
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE
    ) as killed:
        eventually(lambda: listener_file.read_all() == [Listener(("::1", 80), tls=False)])
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        assert listener_file.read_all() == []


def test_health_check_without_listeners_raises_runtime_error() -> None:
    with pytest.raises(RuntimeError, match="no service runs here, or it is not ready yet"):
        healthcheck.check()


def test_name_of_the_program_need_not_be_text(temporary: Path) -> None:
    """The kernel keeps its first 15 bytes, which may end in the middle of a character."""
    script = (
        "from pathlib import Path; from fileservice import listener_file;"
        " Path('/proc/self/comm').write_bytes('файлы-и-папки'.encode());"
        " listener_file.write(['/run/socket'], tls=False);"
        " print(listener_file.read_all() == [listener_file.Listener('/run/socket', False)])"
    )
    environment = os.environ | {"TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "True\n", done.stderr
