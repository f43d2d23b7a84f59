"""Disk: a file system on a loop device whose power can be cut."""

import ctypes
import fcntl
import os
import subprocess
from pathlib import Path

from tests.support.wire import eventually

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = 2
_MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}


class Disk:
    """A file system in a sparse image of `size` bytes in `directory`, mounted at `path`.

    Its device is accessed by direct I/O, without the page cache of the file system below. So it
    takes time for bytes to reach the image, and a power cut can come in between.
    """

    def __init__(
        self, directory: Path, *options: str, kind: str = "ext4", size: int = 512 << 20
    ) -> None:
        """Make the file system, with these options of mkfs."""
        self.image, self.path = directory / "disk.img", directory / "disk"
        self.path.mkdir()
        self._kind = kind
        self._device = ""
        with self.image.open("wb") as image:
            image.truncate(size)
        _run(*_MAKE[kind], *options, str(self.image))

    def mount(self) -> None:
        if not self._device:
            command = ["losetup", "--find", "--show", "--direct-io=on", str(self.image)]
            self._device = _run(*command)
        # ext4 must commit when it is asked to, and not at a time of its own.
        options = ["-o", "commit=900"] if self._kind == "ext4" else []
        _run("mount", "-t", self._kind, *options, self._device, str(self.path))

    def unmount(self) -> None:
        # The kernel closes the files of a killed process a little after its end.
        command = ["umount", str(self.path)]
        eventually(lambda: subprocess.run(command, capture_output=True).returncode == 0)
        _run("losetup", "--detach", self._device)
        self._device = ""

    def remount(self, option: str) -> None:
        """Make it read-only (ro) or writable (rw)."""
        # A file that was just closed, or a process that was killed, may still have it open.
        command = ["mount", "-o", f"remount,{option}", str(self.path)]
        eventually(lambda: subprocess.run(command, capture_output=True).returncode == 0)

    def sync(self) -> None:
        """Bring all to the image, and nothing of the disks of other tests: they lose bytes."""
        _run("sync", "--file-system", str(self.path))

    def lose(self) -> None:
        """Unmount it though it is in use; `mount` mounts the same file system again."""
        _run("umount", "-l", str(self.path))

    def cut_power(self) -> None:
        """Shut it down, as a power cut does: bytes that have not reached the image are lost."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, ctypes.c_uint32(NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def power_up(self) -> None:
        self.unmount()
        self.mount()


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()
