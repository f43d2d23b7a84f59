"""What an upload of a small file costs, in system calls: they do not depend on other processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.storage.local import LocalStore
from tests.support.receiver import SECRET
from tests.support.servers import LiveServer
from tests.support.system_calls import counted
from tests.support.wire import Wire, request

pytestmark = pytest.mark.usefixtures("over_a_directory")

UPLOADS = 20
RECEIVER = {"ON_STORED": "https://receiver.test/", "ON_STORED_SECRET": SECRET}
BOUNDS = {
    "openat": 2,  # the staged file, and the directory for its sync
    "write": 2,  # the bytes, and one by which a thread wakes up the event loop: one hand-over
    "fsetxattr": 4,  # media type, charset, digest, time of the digest
    "fsync": 2,
    "link": 1,
    "unlink": 1,
    "flock": 1,
    "statfs": 2,  # both only if the store was not asked in the last 0.1 s
    "newfstatat": 5,
    "fcntl": 0,
    "getrandom": 0,
    "munmap": 0,  # no memory is mapped for the frames of a call
    "lseek": 0,
    "recvfrom": 2,
    "sendto": 1,
}
BOUNDS_WITH_EVENTS = BOUNDS | {
    "openat": 4,  # also the event, and its folder for its sync
    "write": 3,
    "fsetxattr": 5,  # also the id of the event
    "fsync": 4,
    "rename": 1,
    "getrandom": 1,  # the id of the event
    "newfstatat": 10,
}


@pytest.mark.parametrize(
    ("settings", "bounds"), [({}, BOUNDS), (RECEIVER, BOUNDS_WITH_EVENTS)], ids=["plain", "events"]
)
def test_small_upload_makes_few_system_calls(
    root: None,
    tool: Callable[[str], str],
    start_server: Callable[..., LiveServer],
    tmp_path: Path,
    settings: dict[str, str],
    bounds: dict[str, int],
) -> None:
    store = LocalStore(tmp_path / "store", fsync=True)
    lock = store.private_files.try_lock("event-delivery")  # so that the server delivers nothing
    server = start_server(WORKERS="1", **settings)
    (pid,) = server.workers()

    with Wire(server) as wire:

        def upload(number: int) -> None:
            wire.send(request(f"PUT /upload/{number}.txt", body=b"x" * 1024))
            assert wire.answer().status == 201

        upload(UPLOADS)  # what is done only once is done

        with counted(tool("strace"), pid, tmp_path / "calls") as counts:
            for number in range(UPLOADS):
                upload(number)
    assert lock
    lock.release()
    assert counts["fsync"] == bounds["fsync"] * UPLOADS, "the control: every upload is synced"
    beside = 5  # what the process does once in a while
    assert not {call: n for call, n in counts.items() if n > bounds.get(call, n) * UPLOADS + beside}
