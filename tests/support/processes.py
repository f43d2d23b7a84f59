"""What the kernel knows of a process."""

import contextlib
from pathlib import Path


def open_files(pid: int) -> set[str]:
    """The files, sockets and pipes that a process has open, as /proc names them."""
    opened = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            opened.add(str(descriptor.readlink()))
    return opened
