"""Other processes that use the same store."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PROJECT = Path(__file__).parents[3]
_IMPORTS = """
import sys
from pathlib import Path
from fileservice.names import FileName
from fileservice.storage import *
"""
_COUNT = 4


class Child:
    """A process that runs `code`, which has the `arguments` in sys.argv."""

    def __init__(self, code: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IMPORTS + code, *map(str, arguments)],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

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
        assert self.process.wait(60) == 0
        return output

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self.stdin.close()
        self.stdout.close()


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
