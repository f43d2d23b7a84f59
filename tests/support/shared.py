"""What the worker processes of one test run have in common.

pytest-xdist runs the tests in several processes, each with session fixtures of its own. What is too
expensive for that is made by the first process that asks, in a directory that the processes share.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_VARIABLE = "FILESERVICE_TEST_RUN"
_processes: "list[subprocess.Popen[bytes]]" = []
"""Kept, since Python warns of a Popen object that goes away while its process runs."""


@contextlib.contextmanager
def shared_directory() -> Iterator[None]:
    """Provide the directory of this run for this process and those that it starts.

    Those have their temporary files in it, since many of them are killed and remove nothing. At the
    end it is removed, and the processes are killed that were to end with the run.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fileservice-tests-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(name).chmod(0o1777)  # as /tmp: some of those processes belong to other users
        patch.setenv(_VARIABLE, name)
        patch.setenv("TMPDIR", name)
        try:
            yield
        finally:
            for path in Path(name).glob("*.pid"):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int(path.stem), signal.SIGKILL)


def end_with_the_run(process: "subprocess.Popen[bytes]") -> None:
    """Have the process and its group killed at the end of this test run, not of this process."""
    _processes.append(process)
    (Path(os.environ[_VARIABLE]) / f"{process.pid}.pid").touch()


def made_once(name: str, make: Callable[[Path], Any]) -> Any:
    """Return what `make` returned in the process that was the first to ask for `name`.

    `make` is given a directory of its own. What it returns must be representable as JSON; when it
    raises, the next process that asks tries again.
    """
    directory = Path(os.environ[_VARIABLE]) / name
    directory.mkdir(exist_ok=True)
    result = directory / "result.json"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            made = make(directory)
            result.write_text(json.dumps(made))
        return json.loads(result.read_text())
