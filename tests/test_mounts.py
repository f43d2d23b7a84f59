"""What an interrupted test run leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

MOUNT_AND_DIE = """
import os, signal, subprocess, sys
from tests.support.mounts import have_mounts_of_our_own
have_mounts_of_our_own()
subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
print(os.path.ismount(sys.argv[1]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.usefixtures("root")
def test_file_systems_of_a_killed_test_run_are_not_mounted_any_more(tmp_path: Path) -> None:
    directory = tmp_path / "disk"
    directory.mkdir()
    command = [sys.executable, "-c", MOUNT_AND_DIE, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr
    assert not directory.is_mount()
    directory.rmdir()
