"""The command line."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from fileservice.cli.main import main
from tests.support.servers import ROOT


def run(*arguments: object, access_file: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``fileservice`` with these arguments; `access_file` is that of the environment."""
    environ = {key: value for key, value in os.environ.items() if "FILESERVICE" not in key}
    if access_file:
        environ["FILESERVICE_ACCESS_FILE"] = str(access_file)
    return subprocess.run(
        [sys.executable, "-m", "fileservice", *map(str, arguments)],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def new_token(access_file: Path, name: str, *options: object, scopes: str) -> str:
    """Make a token by the same command, but in this process, and return its secret."""
    arguments = ["token", "new", name, "--scopes", scopes, "--access-file", access_file, *options]
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout.removesuffix("\n")
