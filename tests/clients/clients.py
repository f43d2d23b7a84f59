"""tus clients that others have written, each in a process of its own."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

GIVE_UP_AFTER = 2500
"""Milliseconds after which a client gives up a connection in which nothing moves.

It is more than a request waits until it takes over from one that has fallen silent.
"""
PERSISTENT = (
    "--give-up-after",
    str(GIVE_UP_AFTER),
    "--retry-delays",
    ",".join(["50"] + ["100"] * 300),
)
"""The options of a client that does not give up the upload."""
PATIENT = ("--give-up-after", "60000")
"""The options, after those, of a client that would otherwise give up a server that is only slow.

It then asks again: where no connection falls silent, a test can count what it asks for.
"""
_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """The result that a client reports."""

    done: bool
    url: str | None
    answers: list[str]
    error: str = ""
    status: int | None = None
    body: str | None = None

    def problem(self) -> Any:
        """The problem that the server gave as its reason."""
        assert self.body, self
        return json.loads(self.body)


class Run:
    """A client at work."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """kill -9, unless it has ended."""
        self.process.kill()
        self.process.communicate()

    def outcome(self) -> Outcome:
        """Wait for its end."""
        output, errors = self.process.communicate(timeout=_SECONDS)
        assert self.process.returncode == 0, errors
        assert not errors
        return Outcome(**json.loads(output))


@dataclass(frozen=True)
class Client:
    """A program that uploads one file; the programs take the same options."""

    name: str
    command: tuple[str, ...]
    directory: Path

    def start(self, base: str, file: Path, name: str, *options: str) -> Run:
        """Begin to upload to the service at `base`."""
        return Run(
            [*self.command, "--endpoint", f"{base}/tus/", "--file", str(file), "--name", name]
            + list(options),
            self.directory,
        )

    def upload(self, base: str, file: Path, name: str, *options: str) -> Outcome:
        with self.start(base, file, name, *options) as run:
            return run.outcome()
