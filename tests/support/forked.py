"""ForkedProcess: a gunicorn process that is forked from one which has imported its libraries.

Importing them, and freeing them at the end, is more than half of what a start and a stop of a
server cost. They are imported once for each process of a test run, and so is the application, which
takes from sockets, threads and locks nothing that gevent would have to replace before. Only
`fileservice.serving` is not: its modules keep memory that the workers of one server share.
"""

import gc
import multiprocessing
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
# Not the SDK for S3: it must be imported after gevent has replaced sockets and locks.
_context.set_forkserver_preload(
    [
        "fileservice.app",
        "fileservice.listener_file",
        "gevent.local",
        "gevent.selectors",
        "gevent.signal",
        "gevent.ssl",
        "gevent.subprocess",
        "gevent.threading",
        "gunicorn.app.wsgiapp",
        "gunicorn.glogging",
        "gunicorn.workers.ggevent",
        "tests.support.forked",
        "tests.support.done_once",
    ]
)


class ForkedProcess:
    """`python -m gunicorn` in a session of its own, with the methods of subprocess.Popen."""

    def __init__(
        self, arguments: Sequence[str], directory: Path, environ: Mapping[str, str], log: Path
    ) -> None:
        """Start it in this directory. It appends to the log what it writes to stdout and stderr."""
        self._process = _context.Process(
            target=_run,
            args=(["gunicorn", *arguments], str(directory), dict(environ), str(log)),
            daemon=True,
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, that of a signal negative; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended. Raise subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("gunicorn", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM, unless it has ended."""
        self._process.terminate()

    def kill(self) -> None:
        """Send it SIGKILL, unless it has ended."""
        self._process.kill()


def _run(command: list[str], directory: str, environ: dict[str, str], log: str) -> None:
    os.setsid()
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.chdir(directory)
    magic = {"MAGIC": os.environ["MAGIC"]}  # where pylibmagic, when it was imported, put its file
    os.environ.clear()
    os.environ.update(magic | environ)
    warnings.simplefilter("error", ResourceWarning)
    gc.freeze()  # what has been imported stays, and gevent looks for no lock in it that is held
    sys.argv = command
    from gunicorn.app.wsgiapp import run

    run()
