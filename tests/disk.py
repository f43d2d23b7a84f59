"""Disk: a file system whose power can be cut."""

import ctypes
import fcntl
import os
import subprocess
from pathlib import Path

from live_http.wire import eventually

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
_SIZE = 512 << 20


class Disk:
    """An ext4 file system of its own, whose power can be cut."""

    def __init__(self, directory: Path, *options: str) -> None:
        """Make it, with these options of mkfs.ext4."""
        self.image, self.path = directory / "disk.img", directory / "disk"
        self.path.mkdir()
        with self.image.open("wb") as image:
            image.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-F", *options, str(self.image))

    def mount(self) -> None:
        # The file system shall commit when it is asked to, and not of its own accord.
        _run("mount", "-o", "loop,commit=900", str(self.image), str(self.path))

    def unmount(self) -> None:
        # Processes that were killed let go of their files a little later.
        command = ["umount", str(self.path)]
        eventually(lambda: subprocess.run(command, capture_output=True).returncode == 0)

    def remount(self, option: str) -> None:
        """Make it read-only (ro) or writable (rw)."""
        # A file that was just closed, or a process that was killed, may still have it open.
        command = ["mount", "-o", f"remount,{option}", str(self.path)]
        eventually(lambda: subprocess.run(command, capture_output=True).returncode == 0)

    def lose(self) -> None:
        """Have the mount go, whoever uses it."""
        _run("umount", "-l", str(self.path))

    def cut_power(self) -> None:
        """Whatever has not reached the disk never will."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, ctypes.c_uint32(NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def power_up(self) -> None:
        self.unmount()
        self.mount()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
