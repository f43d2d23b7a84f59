"""fileservice completion and version: what they write, and that shells can use it."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice import __version__
from tests.cli.commands import run
from tests.support.servers import ROOT


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_asks_the_command_what_completes_a_word(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert f"_FILESERVICE_COMPLETE={shell}_complete" in done.stdout


def test_bash_completes_commands_by_the_script(tool: Callable[[str], str], tmp_path: Path) -> None:
    installed = tmp_path / "fileservice"
    installed.write_text(f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m fileservice\n")
    installed.chmod(0o755)
    lines = [
        "compopt() { :; }",  # bash has it only while it completes
        run("completion", "bash").stdout,
        "COMP_WORDS=(fileservice s) COMP_CWORD=1",
        "_fileservice_completion fileservice",
        'echo "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        [tool("bash"), "--norc", "-c", "\n".join(lines)],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert {"serve", "sweep"} <= set(done.stdout.split()), done.stderr
    assert "token" not in done.stdout


def test_unknown_shell_is_an_error_of_usage() -> None:
    assert run("completion", "csh").returncode == 2


def test_versions_of_what_the_service_runs_on_are_written() -> None:
    versions = json.loads(run("version", "--json").stdout)
    assert versions["fileservice"] == __version__
    assert versions["python"] == platform.python_version()
    assert versions["gunicorn"].startswith("27.")
    assert versions["libmagic"].startswith("5.")
    lines = run("version").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(versions)
