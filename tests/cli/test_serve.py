"""`fileservice serve`, and what prevents a start under it and under `gunicorn`."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import Done, run
from tests.support.forked import ForkedProcess
from tests.support.ports import free_port
from tests.support.servers import ROOT
from tests.support.wire import eventually

SERVE = ("fileservice", "serve")
GUNICORN = ("gunicorn",)
START_SECONDS = 60


def environ(directory: Path, **settings: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FILESERVICE_", "GUNICORN_", "AWS_"))
    }
    settings = {"STORE_URL": str(directory / "store"), "WORKERS": "1", **settings}
    variables = {f"FILESERVICE_{name}": value for name, value in settings.items()}
    return kept | variables | {"AWS_EC2_METADATA_DISABLED": "true"}


def refused(command: Sequence[str], directory: Path, *, path: str = "", **settings: str) -> Done:
    """Start the service, which must end by itself at once; `path` is where Python looks first."""
    variables = environ(directory, **settings) | ({"PYTHONPATH": path} if path else {})
    if command == GUNICORN and not path:
        log = directory / "log"
        returncode = ForkedProcess([], ROOT, variables, log).wait(60)
        return Done(returncode, "", without_start(log.read_text()))
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, without_start(done.stderr))


def without_start(log: str) -> str:
    """Return a log without the line that gunicorn writes before anything else."""
    return "\n".join(line for line in log.splitlines() if "Starting gunicorn" not in line)


@contextmanager
def serving(directory: Path, *options: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *SERVE, *options],
        cwd=ROOT,
        env=environ(directory, **settings),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def answers(port: int, path: str = "/healthz") -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_serve_listens_and_stores_where_its_options_say(tmp_path: Path) -> None:
    port, store = free_port(), tmp_path / "other"
    options = ("--bind", f"127.0.0.1:{port}", "--store", str(store), "--workers", "1")
    with serving(tmp_path, *options, BIND="127.0.0.1:1", WORKERS="3") as process:
        eventually(lambda: answers(port), START_SECONDS)
        url = f"http://127.0.0.1:{port}/upload/a.txt"
        assert httpx.put(url, content=b"text").status_code == 201
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(workers) == 1
        process.terminate()
        assert process.wait(60) == 0
    assert (store / "a.txt").read_bytes() == b"text"
    assert not (tmp_path / "store").exists()


@pytest.mark.thorough
def test_an_upgrade_repeats_the_command(tmp_path: Path) -> None:
    port, pid_file = free_port(), tmp_path / "pid"
    options = ("--bind", f"127.0.0.1:{port}", "--", "--pid", str(pid_file))
    with serving(tmp_path, *options) as process:
        eventually(lambda: answers(port), START_SECONDS)
        process.send_signal(signal.SIGUSR2)
        eventually((tmp_path / "pid.2").exists, START_SECONDS)
        command = Path(f"/proc/{(tmp_path / 'pid.2').read_text().strip()}/cmdline").read_bytes()
        assert command.split(b"\0")[1:5] == [b"-m", b"fileservice", b"serve", b"--bind"]
        process.terminate()
        assert process.wait(60) == 0
        eventually(lambda: answers(port), START_SECONDS)


@pytest.mark.parametrize(
    ("option", "value"), [("--bind", "localhost"), ("--workers", "0"), ("--store", "ftp://a")]
)
def test_an_option_with_a_wrong_value_is_an_error_of_usage(option: str, value: str) -> None:
    done = run("serve", option, value)
    assert done.returncode == 2
    assert f"Invalid value for '{option}': '{value}'" in done.stderr


@pytest.mark.parametrize(
    "command",
    [SERVE, pytest.param(GUNICORN, marks=pytest.mark.thorough)],
    ids=["serve", "gunicorn"],
)
def test_a_port_in_use_ends_the_start_with_one_line(command: Sequence[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = refused(command, tmp_path, BIND=f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"fileservice cannot start: port {port} of 127.0.0.1 is in use:")
    assert "\n" not in done.stderr
    assert not (tmp_path / "store").exists()  # it belongs to the other process, perhaps


@pytest.mark.parametrize(
    "command",
    [SERVE, pytest.param(GUNICORN, marks=pytest.mark.thorough)],
    ids=["serve", "gunicorn"],
)
def test_a_misspelt_setting_ends_the_start_with_one_line(
    command: Sequence[str], tmp_path: Path
) -> None:
    done = refused(command, tmp_path, WORKER="2")
    assert done.returncode == 1
    assert done.stderr == (
        "fileservice cannot start: FILESERVICE_WORKER: there is no such setting;"
        " did you mean FILESERVICE_WORKERS?"
    )


@pytest.mark.parametrize(
    "command",
    [GUNICORN, pytest.param(SERVE, marks=pytest.mark.thorough)],
    ids=["gunicorn", "serve"],
)
def test_a_bucket_without_credentials_ends_the_start_with_one_line(
    command: Sequence[str], tmp_path: Path
) -> None:
    url = f"s3://bucket/?endpoint=http://127.0.0.1:{free_port()}"
    done = refused(command, tmp_path, STORE_URL=url, BIND=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr == (
        f"fileservice cannot start: FILESERVICE_STORE_URL={url!r}: there are no credentials for the"
        " storage: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )


@pytest.mark.parametrize(
    "command",
    [GUNICORN, pytest.param(SERVE, marks=pytest.mark.thorough)],
    ids=["gunicorn", "serve"],
)
def test_a_missing_libmagic_ends_the_start_with_one_line(
    command: Sequence[str], tmp_path: Path
) -> None:
    # This is what python-magic raises where it finds no library.
    (tmp_path / "magic.py").write_text("raise ImportError('failed to find libmagic.')\n")
    done = refused(command, tmp_path, path=str(tmp_path), BIND=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "fileservice cannot start: libmagic cannot be loaded (failed to find libmagic): install"
    )
    assert "\n" not in done.stderr


def test_a_directory_that_cannot_be_written_to_ends_the_start_with_one_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "store").symlink_to("/proc")  # where nobody may create anything, not even root
    done = refused(GUNICORN, tmp_path, BIND=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"fileservice cannot start: FILESERVICE_STORE_URL='{tmp_path}/store': "
    )
    assert "\n" not in done.stderr


def test_an_audit_log_that_cannot_be_opened_ends_the_start_with_one_line(tmp_path: Path) -> None:
    path = str(tmp_path)
    done = refused(GUNICORN, tmp_path, AUDIT_LOG=path, BIND=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.strip() == f"Error: FILESERVICE_AUDIT_LOG={path!r}: Is a directory"
