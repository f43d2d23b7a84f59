"""What the kernel knows of a process."""

import contextlib
import os
from pathlib import Path


def open_files(pid: int) -> set[str]:
    """The files, sockets and pipes that a process has open, as /proc names them."""
    opened = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            opened.add(str(descriptor.readlink()))
    return opened


def cpu_seconds(pid: int) -> float:
    """The processor time that all threads of a process have taken, in steps of 10 ms.

    Unlike the time on the clock, it hardly depends on what else runs on the machine.
    """
    # The fields after the name, which may have spaces and is in parentheses: proc_pid_stat(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
