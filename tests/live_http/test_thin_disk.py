"""A file system that is larger than what it lies on: what it took it cannot always write."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disk import Disk
from live import LiveServer
from live_http.tus import Tus

pytestmark = pytest.mark.usefixtures("over_a_directory")

MIB = 1 << 20
PIECE = 12 * MIB
TEXT = b"".join(b"%015d\n" % line for line in range(96 * MIB // 16))


class ThinDisk(Disk):
    """An XFS of 512 MiB on a tmpfs that has as much as `grow` says."""

    def __init__(self, backing: Path) -> None:
        self._backing = backing
        super().__init__(backing, kind="xfs")

    def grow(self, size: str) -> None:
        mount("-o", f"remount,size={size}", str(self._backing))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@pytest.fixture
def thin(root: None, tool: Callable[[str], str], tmp_path: Path) -> Iterator[ThinDisk]:
    for name in ("mkfs.xfs", "losetup", "mount", "umount"):
        tool(name)
    backing = tmp_path / "backing"
    backing.mkdir()
    mount("-t", "tmpfs", "-o", "size=128m", "tmpfs", str(backing))  # half of it for XFS's log
    try:
        disk = ThinDisk(backing)
        disk.mount()
        yield disk
        disk.unmount()
    finally:
        subprocess.run(["umount", str(backing)], check=True)


def test_bytes_that_a_failed_sync_has_lost_are_never_told(
    thin: ThinDisk, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(STORE_URL=str(thin.path / "store"), WORKERS="2", MIN_FREE_SPACE="0")
    with server.client() as client:
        tus = Tus(client)
        url = tus.begin("a.txt", len(TEXT))
        told, statuses = 0, []
        while not statuses or statuses[-1] == 204:
            statuses.append(tus.patch(url, told, TEXT[told : told + PIECE]).status_code)
            told += PIECE if statuses[-1] == 204 else 0
        assert statuses[-1] in (503, 507), "the control: the disk was large enough"
        for _ in range(3):  # by other descriptors, whose syncs succeed
            assert tus.offset(url) == told
        thin.grow("1g")
        while told < len(TEXT):
            answer = tus.patch(url, told, TEXT[told : told + PIECE])
            assert answer.status_code == 204, answer.text
            told += PIECE
    server.stop()
    thin.power_up()  # what is read now comes from the disk
    stored = (server.store / "a.txt").read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(TEXT).digest()
