"""Events on a disk whose power is cut while files are uploaded, by several threads at once."""

import json
import threading
from contextlib import suppress
from itertools import count

import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import StorageError
from fileservice.upload import UploadContext, UploadPolicy, UploadRequest, receive
from tests.events.queues import Queue
from tests.support.disk import Disk
from tests.support.wire import eventually

POLICY = UploadPolicy(filetypes.select(("txt",)), max_size=1 << 20, min_free=0, digest=True)
TEXT = b"some text\n"


@pytest.mark.parametrize(
    "enough", [20, *(pytest.param(n, marks=pytest.mark.thorough) for n in (1, 2, 3, 7, 200))]
)
def test_event_of_every_acknowledged_upload_is_there_after_a_power_cut(
    disk: Disk, enough: int
) -> None:
    root = disk.path / "store"
    queue = Queue(root, fsync=True)
    context = UploadContext(queue.store, POLICY, InlineExecutor(), events=queue.recorder)
    acknowledged: list[str] = []

    def upload(thread: int) -> None:
        with suppress(StorageError):
            for number in count():
                name = FileName.parse(f"{thread}-{number}.txt")
                receive(UploadRequest(name, len(TEXT)), [memoryview(TEXT)], context)
                acknowledged.append(name)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acknowledged) >= enough, 90)
    control = disk.path / "control"
    control.write_bytes(b"x" * 100)
    disk.cut_power()
    for thread in threads:
        thread.join()
    disk.power_up()

    assert not control.exists() or control.read_bytes() != b"x" * 100
    found = Queue(root, fsync=True)
    for _ in range(2):
        found.delivery.run_once()
    found.delivery.close()
    reported = [json.loads(body)["subject"] for body in found.receiver.sent]
    assert set(acknowledged) <= set(reported)
    assert len(reported) == len(set(reported))
    assert all((root / name).read_bytes() == TEXT for name in reported)
