"""What receive() hands over to threads, and what it asks libmagic, for small and large files."""

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from fileservice.gevent_executor import InlineExecutor, ThreadExecutor
from fileservice.storage.local import LocalStore
from fileservice.storage.local.writer import LocalWriter
from fileservice.upload import (
    UploadContext,
    pipeline,
    receive,
)
from fileservice.upload.inspection import inspector
from tests.upload.inspection.support import SAMPLES
from tests.upload.receiving import BITMAP, MIB, TEXT, content_of, policy, request, sha256, upload


class CountingExecutor(ThreadExecutor):
    """Counts how often work is handed to a thread and waited for."""

    hand_overs = 0

    def run_brief(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        return super().run_brief(function, *args, **kwargs)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        return super().submit(function, *args, **kwargs)


def test_costs_of_a_large_upload_in_hand_overs_do_not_grow_with_its_blocks(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as all that is asked for has arrived."""
    monkeypatch.setattr(pipeline, "_MAX_SECONDS", 3600.0)
    counts = []
    for blocks in (1, 40):
        executor = CountingExecutor()
        name = f"{blocks}.bmp"
        content = [BITMAP, *[bytes(MIB)] * blocks]
        context = UploadContext(store, policy(), executor)
        receive(request(name, length=sum(map(len, content))), content, context)
        counts.append(executor.hand_overs)
    assert counts[0] == counts[1] < 8


def test_staged_file_is_closed_only_once_no_thread_writes_to_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the thread could write to another file, which has its descriptor by then."""
    begun, may_write, events = threading.Event(), threading.Event(), []
    write, close = LocalWriter.write, LocalWriter.close

    def write_later(self: LocalWriter, block: bytes | memoryview) -> None:
        begun.set()
        assert may_write.wait(30)
        write(self, block)
        events.append("written")

    def close_now(self: LocalWriter) -> None:
        events.append("closed")
        close(self)

    monkeypatch.setattr(LocalWriter, "write", write_later)
    monkeypatch.setattr(LocalWriter, "close", close_now)
    context = UploadContext(store, policy(), ThreadExecutor(threads=2))
    uploader = gevent.spawn(receive, request(), [TEXT * 10], context)  # not a small file
    assert gevent.get_hub().threadpool.apply(begun.wait, (30,))
    uploader.kill(block=False)
    gevent.idle()
    may_write.set()
    uploader.join(30)
    assert events == ["written", "closed"]


class CallCounter(InlineExecutor):
    """Counts how often work is handed over to a thread."""

    hand_overs = 0
    is_handed_over = False

    def run_io(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += not self.is_handed_over
        return super().run_io(function, *args, **kwargs)

    def run_brief(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        self.is_handed_over = True
        return super().run_brief(function, *args, **kwargs)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.hand_overs += 1
        return super().submit(function, *args, **kwargs)


@pytest.mark.parametrize(
    ("length", "blocks"),
    [
        pytest.param(len(TEXT), [TEXT], id="of known length"),
        pytest.param(None, [TEXT], id="of unknown length, as in a form"),
        pytest.param(0, [], id="empty"),
        pytest.param(128 * 1024, [b"x" * 128 * 1024], id="of 128 KiB"),
    ],
)
def test_small_file_is_handed_over_to_a_thread_once(
    store: LocalStore, length: int | None, blocks: list[bytes]
) -> None:
    executor = CallCounter()

    receive(request(length=length), blocks, UploadContext(store, policy(), executor))

    assert executor.hand_overs == 1
    assert content_of(store) == b"".join(blocks)


def test_small_file_whose_bytes_come_in_several_blocks_is_received_as_a_large_one(
    store: LocalStore,
) -> None:
    for length, name in ((len(TEXT), "a.txt"), (None, "b.txt")):
        blocks = (TEXT[:1000], TEXT[1000:2000], TEXT[2000:])
        result = upload(store, request(name, length), blocks)
        assert result.file.content.sha256 == sha256(TEXT)
        assert content_of(store, name) == TEXT


def test_libmagic_is_asked_once_about_a_small_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for method in ("from_buffer", "from_descriptor"):
        real = getattr(inspector.magic.Magic, method)

        def asked(self: Any, source: Any, real: Callable[..., Any] = real) -> Any:
            calls.append(source)
            return real(self, source)

        monkeypatch.setattr(inspector.magic.Magic, method, asked)
    for name in ("note.txt", "img.png", "note.doc", "note.docx"):
        calls.clear()
        data = (SAMPLES / name).read_bytes()
        upload(store, request(name, len(data)), [data])
        assert len(calls) == 1, name
