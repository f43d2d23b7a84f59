"""A thinly provisioned disk: writes succeed, and fail when they are synced."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.disk import Disk
from tests.support.servers import LiveServer
from tests.support.tus import Tus

pytestmark = [pytest.mark.usefixtures("over_a_directory"), pytest.mark.thorough]

MIB = 1 << 20
LENGTH = 240 * MIB
STEP = 16 * MIB
BACKING = 160 * MIB
LAST_WRITE = 2 * MIB
"""The driver of loop devices takes a write that was cut short for a whole one: as much as it asks
for at a time may be missing before what it says has failed."""


@pytest.fixture
def thin(root: None, tool: Callable[[str], str], tmp_path: Path) -> Iterator[Disk]:
    """An XFS of 400 MiB on a backing that has room for less than half of it."""
    backing = tmp_path / "backing"
    backing.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={BACKING}", "none", str(backing)], check=True
    )
    try:
        tool("mkfs.xfs")
        disk = Disk(backing, kind="xfs", size=400 * MIB)
        disk.mount()
        yield disk
        disk.unmount()
    finally:
        subprocess.run(["umount", "-l", str(backing)], check=True)


def grow(backing: Path) -> None:
    """Give the disk the room that it has promised."""
    subprocess.run(["mount", "-o", "remount,size=600M", str(backing)], check=True)


@pytest.mark.parametrize("dialect", ["tus", "draft"])
def test_bytes_lost_by_a_failed_fsync_are_never_acknowledged(
    thin: Disk, start_server: Callable[..., LiveServer], dialect: str
) -> None:
    line = b"%015d\n"
    data = b"".join(line % i for i in range(LENGTH // 16))
    server = start_server(STORE_URL=str(thin.path / "store"), WORKERS="2", MIN_FREE_SPACE="0")
    with server.client() as client:
        upload = Upload(client, dialect)
        offset = 0
        while (status := upload.append(offset, data[offset : offset + STEP])) == 204:
            offset += STEP
            assert offset < LENGTH
        assert status in (503, 507)
        reported = upload.offset()
        assert reported is None or reported == offset  # the disk may not even be read any more
    server.stop()
    thin.unmount()
    grow(thin.image.parent)
    thin.mount()
    server.start()
    with server.client() as client:
        upload = Upload(client, dialect, upload.path)
        assert upload.offset() == offset
        assert upload.append(offset, data[offset : offset + STEP]) == 204
        assert upload.offset() == offset + STEP
    stored = server.store / ".fileservice/uploads" / upload.path.rpartition("/")[2]
    assert stored.read_bytes()[: offset - LAST_WRITE] == data[: offset - LAST_WRITE]
    assert stored.read_bytes()[offset:] == data[offset : offset + STEP]
    server.stop()


class Upload:
    """One upload, by tus or by the IETF's draft."""

    def __init__(self, client: httpx.Client, dialect: str, path: str = "") -> None:
        self._client = client
        self._tus = Tus(client) if dialect == "tus" else None
        self.path = path or self._begin()

    def _begin(self) -> str:
        if self._tus:
            return httpx.URL(self._tus.begin("a.txt", LENGTH)).path
        fields = {"Upload-Complete": "?0", "Upload-Length": str(LENGTH)}
        answer = self._client.put("/upload/a.txt", headers=fields)
        assert answer.status_code == 201, answer.text
        return httpx.URL(answer.headers["Location"]).path

    def append(self, offset: int, data: bytes) -> int:
        if self._tus:
            return self._tus.patch(self.path, offset, data).status_code
        fields = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(offset),
            "Upload-Complete": "?0",
        }
        return self._client.patch(self.path, content=data, headers=fields).status_code

    def offset(self) -> int | None:
        answer = self._tus.head(self.path) if self._tus else self._client.head(self.path)
        reported = answer.headers.get("Upload-Offset")
        return None if reported is None else int(reported)
