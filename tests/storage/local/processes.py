"""Other processes that use the same store."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

_IMPORTS = """
import sys
from pathlib import Path
from fileservice.names import FileName
from fileservice.storage import *
"""
_COUNT = 4


class Child:
    """A forked process that runs `code`, which has the `arguments` in sys.argv.

    To start Python and to import the service anew takes longer than most of these tests.
    """

    def __init__(self, code: str, *arguments: object) -> None:
        (its_input, stdin), (stdout, its_output) = os.pipe(), os.pipe()
        self._pid = os.fork()
        if not self._pid:
            _run(code, list(map(str, arguments)), its_input, its_output)
        os.close(its_input)
        os.close(its_output)
        self.stdin, self.stdout = os.fdopen(stdin, "w"), os.fdopen(stdout)

    def wait_until_ready(self) -> None:
        """Wait until the code prints the line "ready"."""
        assert self.stdout.readline() == "ready\n"

    def proceed(self) -> None:
        """Send the line that the code reads before it goes on."""
        self.stdin.write("\n")
        self.stdin.flush()

    def output(self) -> str:
        """Wait for the end of the process, and return the rest of what it printed."""
        output = self.stdout.read()
        pid, self._pid = self._pid, 0
        assert os.waitpid(pid, 0)[1] == 0
        return output

    def kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        self.stdin.close()
        self.stdout.close()


def _run(code: str, arguments: list[str], its_input: int, its_output: int) -> None:
    """Run `code` with these descriptors as its standard input and output; never return."""
    status = 1
    with suppress(BaseException):
        os.dup2(its_input, 0)
        os.dup2(its_output, 1)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # other processes wait for locks to be closed
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        sys.argv = ["-c", *arguments]
        try:
            exec(_IMPORTS + code, {})
            status = 0
        finally:
            if status:
                traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
    os._exit(status)


StartChild = Callable[..., Child]


def run_together(start_child: StartChild, code: str, *arguments: object) -> list[str]:
    """Run `code` in four processes at the same time; return what each of them printed.

    The last of its arguments is the number of the process.
    """
    barrier = "print('ready', flush=True); sys.stdin.readline()\n"
    children = [start_child(barrier + code, *arguments, number) for number in range(_COUNT)]
    for child in children:
        child.wait_until_ready()
    for child in children:
        child.proceed()
    return [child.output().strip() for child in children]
