"""Power cuts in the middle of requests, on a disk that is reached without a cache in between.

ext4 may write down the size of a file before its bytes. Few power cuts show that, so these tests
verify what must hold after every one: the server still has all bytes up to the acknowledged offset.
"""

import contextlib
import functools
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.disk import Disk
from tests.support.servers import LiveServer
from tests.support.tus import Tus
from tests.support.wire import eventually

pytestmark = pytest.mark.usefixtures("over_a_directory")

UPLOADERS = 4
MIB = 1 << 20
LENGTH = 24 * MIB
OFFSETS = (MIB, 12 * MIB, 13 * MIB, LENGTH)
"""Where the requests of an upload end."""


@functools.cache
def text(number: int) -> bytes:
    """Text of which no two lines are the same, and no two files have the same."""
    return random.Random(number).randbytes(LENGTH // 2).hex("\n", 32).encode()[:LENGTH]


class Uploader(threading.Thread):
    """Sends a file in small requests and large ones, until the server is gone."""

    def __init__(self, server: LiveServer, number: int) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.name = f"{number}.txt"
        self.data = text(number)
        self.url = ""
        self.acknowledged = 0

    def run(self) -> None:
        with self._server.client() as client, contextlib.suppress(httpx.HTTPError):
            tus = Tus(client)
            answer = tus.create(self.name, LENGTH)
            if answer.status_code != 201:
                return
            self.url = answer.headers["Location"]
            for end in OFFSETS:
                answer = tus.patch(self.url, self.acknowledged, self._pieces(end))
                if answer.status_code != 204:
                    return
                self.acknowledged = end

    def _pieces(self, end: int) -> Iterator[bytes]:
        for at in range(self.acknowledged, end, MIB):
            yield self.data[at : min(at + MIB, end)]


@pytest.mark.parametrize(
    "offset", [OFFSETS[0], *(pytest.param(n, marks=pytest.mark.thorough) for n in OFFSETS[1:3])]
)
def test_after_a_power_cut_uploads_continue_from_the_acknowledged_offset(
    root: None,
    tool: Callable[[str], str],
    tmp_path: Path,
    start_server: Callable[..., LiveServer],
    offset: int,
) -> None:
    disk = Disk(tmp_path, size=1 << 30)  # one client may hold a quarter of it
    disk.mount()
    server = start_server(STORE_URL=str(disk.path / "store"), WORKERS="2", MIN_FREE_SPACE="0")
    try:
        uploaders = [Uploader(server, number) for number in range(UPLOADERS)]
        for uploader in uploaders:
            uploader.start()
        eventually(lambda: sum(uploader.acknowledged >= offset for uploader in uploaders) >= 2, 90)
        control = disk.path / "control"
        control.write_bytes(text(0)[:MIB])
        disk.cut_power()
        server.kill()
        for uploader in uploaders:
            uploader.join(30)
        disk.power_up()
        # The file system by itself keeps what is synced, and nothing more.
        assert not control.exists() or control.read_bytes() != text(0)[:MIB]
        server.start()
        with server.client() as client:
            for uploader in uploaders:
                assert_resumable(client, server, uploader)
        server.stop()
    finally:
        server.kill()
        disk.unmount()


def assert_resumable(client: httpx.Client, server: LiveServer, uploader: Uploader) -> None:
    if not uploader.url:
        return
    tus = Tus(client)
    answer = tus.head(uploader.url)
    if not uploader.acknowledged and answer.status_code == 404:
        return
    assert answer.status_code == 200, (uploader.name, answer)
    offset = int(answer.headers["Upload-Offset"])
    assert offset >= uploader.acknowledged, uploader.name
    upload = server.store / ".fileservice/uploads" / uploader.url.rpartition("/")[2]
    stored = (upload if upload.exists() else server.store / uploader.name).read_bytes()
    assert stored[:offset] == uploader.data[:offset], (uploader.name, uploader.acknowledged, offset)
    if offset < LENGTH:
        rest = uploader.data[offset:]
        assert tus.patch(uploader.url, offset, rest).status_code == 204
    assert client.get(f"/download/{uploader.name}").content == uploader.data
