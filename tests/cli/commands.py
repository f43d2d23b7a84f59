"""The command line."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from fileservice.cli.main import main
from tests.support.servers import ROOT


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def run(
    *arguments: object, access_file: Path | None = None, given: str = "", **environ: str
) -> Done:
    """Run ``fileservice`` with these arguments in this process.

    `access_file` is that of the environment, and `given` is what the command reads.
    """
    variables: dict[str, str | None] = {key: None for key in os.environ if "FILESERVICE" in key}
    if access_file:
        variables["FILESERVICE_ACCESS_FILE"] = str(access_file)
    done = CliRunner().invoke(
        main,
        [str(argument) for argument in arguments],
        prog_name="fileservice",
        env=variables | environ,
        input=given,
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def run_process(*arguments: object, **environ: str) -> Done:
    """Run ``fileservice`` with these arguments as a process of its own."""
    kept = {key: value for key, value in os.environ.items() if "FILESERVICE" not in key}
    done = subprocess.run(
        [sys.executable, "-m", "fileservice", *map(str, arguments)],
        cwd=ROOT,
        env=kept | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def new_token(access_file: Path, name: str, *options: object, scopes: str) -> str:
    """Make a token, and return its secret."""
    done = run("token", "new", name, "--scopes", scopes, *options, access_file=access_file)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")
