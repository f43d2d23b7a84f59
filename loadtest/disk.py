"""A directory on ext4, for the rows about the page cache and about syncs."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.support.disk import Disk


@contextlib.contextmanager
def ext4(size: int) -> Iterator[Path]:
    """Yield a directory on an ext4 of `size` bytes in a loop device over the temporary directory.

    Its syncs reach the disk below. Who may not mount it gets a directory of the file system below.
    """
    with tempfile.TemporaryDirectory(prefix="peers-disk-") as folder:
        path = Path(folder)
        if os.geteuid() or subprocess.call(["sh", "-c", "command -v mkfs.ext4 >/dev/null"]):
            yield path
            return
        path.chmod(0o755)
        disk = Disk(path, size=size)
        disk.mount()
        try:
            disk.path.chmod(0o777)
            yield disk.path
        finally:
            disk.unmount()


def file_system(path: Path) -> str:
    """Return the type of the file system of a directory."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    _, kind = max(
        (mount for mount in mounts if path.is_relative_to(mount[0])), key=lambda m: len(m[0])
    )
    return kind
