"""The command line as a process, as people run it."""

import os
import subprocess
import sys
from pathlib import Path

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
    """Make a token, and return its secret."""
    done = run("token", "new", name, "--scopes", scopes, *options, access_file=access_file)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")
