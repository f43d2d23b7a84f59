"""The commands that use a service, as a person calls them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli import commands
from tests.cli.commands import Done
from tests.support.faulty_proxy import FaultyProxy
from tests.support.servers import ROOT
from tests.support.wire import eventually


@dataclass(frozen=True)
class Person:
    """Somebody with a directory, who uses the service at `url`."""

    url: str
    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the commands."""
        state = str(self.directory / "state")
        return {"FILESERVICE_URL": self.url, "XDG_STATE_HOME": state, **self.environ}

    def run(self, *arguments: object) -> Done:
        """Run a command in this process."""
        return commands.run(*arguments, **self.variables)

    def json(self, *arguments: object) -> list[dict[str, Any]]:
        """Run a command, which succeeds, and return the objects that it writes."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start(
        self,
        *arguments: object,
        stdin: int = subprocess.DEVNULL,
        command: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start a command as a process of its own; `command` is a program that starts it."""
        kept = {key: value for key, value in os.environ.items() if "FILESERVICE" not in key}
        return subprocess.Popen(
            [*command, sys.executable, "-m", "fileservice", *map(str, arguments)],
            cwd=ROOT,
            env=kept | self.variables,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_in_the_middle(
        self, proxy: FaultyProxy, after: int, arrived: Callable[[], int], *arguments: object
    ) -> None:
        """Run a command, and kill it with SIGKILL once so many bytes have passed the proxy.

        Some of them may still be on the way; half of them have `arrived` before.
        """
        proxy.silence_after = proxy.passed + after
        with self.start(*arguments) as process:
            eventually(lambda: proxy.mode == "silence" or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            eventually(lambda: arrived() >= after // 2)
            process.kill()
        proxy.cut()
        proxy.become("pass")
