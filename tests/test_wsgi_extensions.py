"""What web and serving agree on, and what stands for it under other servers."""

import io
import socket
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from fileservice.wsgi_extensions import (
    REQUEST_BODY,
    SEND_INTERIM_RESPONSE,
    STOPPING,
    FileRegion,
    FileRegions,
    RequestBody,
    interim_response_sender,
    is_stopping,
    request_body,
    shut_down_reading,
)

DATA = bytes(range(256)) * 4096


@pytest.fixture
def regions(tmp_path: Path) -> FileRegions:
    """Two regions of a file of 1 MiB, the second larger than a block, with bytes around them."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    file = path.open("rb", buffering=0)
    pieces = [b"begin", FileRegion(3, 5), b"middle", FileRegion(1000, 700_000), b"end"]
    return FileRegions(file, pieces, lambda start, _end: file.seek(start))


WHOLE = b"begin" + DATA[3:8] + b"middle" + DATA[1000:701_000] + b"end"


def test_file_regions_are_an_iterable_of_blocks(regions: FileRegions) -> None:
    blocks = list(regions)
    assert b"".join(blocks) == WHOLE
    assert max(map(len, blocks)) <= 256 * 1024
    regions.close()


def test_file_regions_can_be_wrapped_as_a_file_by_any_server(regions: FileRegions) -> None:
    blocks = list(FileWrapper(regions, 8192))
    assert b"".join(blocks) == WHOLE
    assert max(map(len, blocks)) <= 8192
    regions.close()


def test_size_of_file_regions_is_that_of_the_body(regions: FileRegions) -> None:
    assert regions.size == len(WHOLE)
    regions.close()


def test_closing_file_regions_closes_the_file(tmp_path: Path) -> None:
    file = (tmp_path / "data").open("wb+")
    regions = FileRegions(file, [], lambda *_: None)
    assert regions.descriptor == file.fileno()
    regions.close()
    assert file.closed


def regions_that_report(path: Path, reported: list[tuple[int, bool]]) -> FileRegions:
    path.write_bytes(DATA)
    file = path.open("rb", buffering=0)
    pieces = [FileRegion(0, 300_000)]
    return FileRegions(
        file, pieces, lambda start, _end: file.seek(start), lambda *sent: reported.append(sent)
    )


def test_closing_tells_once_whether_all_blocks_were_taken(tmp_path: Path) -> None:
    reported: list[tuple[int, bool]] = []
    all_taken = regions_that_report(tmp_path / "data", reported)
    list(all_taken)
    all_taken.close()
    all_taken.close()
    assert reported == [(300_000, True)]
    wrapped = regions_that_report(tmp_path / "data", reported)
    list(FileWrapper(wrapped, 8192))
    wrapped.close()
    assert reported == [(300_000, True)] * 2


def test_body_whose_last_block_was_not_followed_by_another_request_counts_as_broken_off(
    tmp_path: Path,
) -> None:
    reported: list[tuple[int, bool]] = []
    untouched = regions_that_report(tmp_path / "data", reported)
    untouched.close()
    begun = regions_that_report(tmp_path / "data", reported)
    blocks = iter(begun)
    assert sum(len(next(blocks)) for _ in range(2)) == 300_000
    begun.close()
    assert reported == [(0, False), (300_000, False)]


@pytest.mark.parametrize(("count", "is_all"), [(0, False), (299_999, False), (300_000, True)])
def test_server_that_does_not_iterate_says_how_much_was_sent(
    tmp_path: Path, count: int, is_all: bool
) -> None:
    reported: list[tuple[int, bool]] = []
    regions = regions_that_report(tmp_path / "data", reported)
    regions.mark_sent(count)
    regions.close()
    assert reported == [(count, is_all)]


def test_file_without_a_descriptor_is_read_after_seek() -> None:
    file = io.BytesIO(DATA)
    sought = []

    def seek(start: int, end: int) -> None:
        sought.append((start, end))
        file.seek(start)

    regions = FileRegions(file, [FileRegion(10, 20), FileRegion(100, 5)], seek)
    assert regions.descriptor is None
    assert b"".join(regions) == DATA[10:30] + DATA[100:105]
    assert sought == [(10, 30), (100, 105)]


def test_file_that_became_shorter_raises_eof_error() -> None:
    file = io.BytesIO(b"short")
    regions = FileRegions(file, [FileRegion(0, 6)], lambda start, _end: file.seek(start))
    with pytest.raises(EOFError):
        list(regions)


def test_body_is_the_one_that_the_server_offers() -> None:
    offered = object()
    assert request_body({REQUEST_BODY: offered}) is offered


def test_body_is_read_from_wsgi_input_where_the_server_offers_none() -> None:
    body = request_body({"wsgi.input": io.BytesIO(b"abcde")})
    buffer = memoryview(bytearray(3))
    assert body.arrives_within(0)
    assert (body.readinto(buffer), bytes(buffer)) == (3, b"abc")
    assert (body.readinto(buffer), bytes(buffer[:2])) == (2, b"de")
    assert body.readinto(buffer) == 0
    body.interrupt()  # does nothing without a connection


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
def test_body_of_another_server_is_interrupted_by_its_connection(name: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as file:
        bodies: SimpleQueue[RequestBody] = SimpleQueue()
        counts: list[int | None] = []

        def read() -> None:
            body = request_body({"wsgi.input": file, name: ours})
            bodies.put(body)
            counts.append(body.readinto(memoryview(bytearray(1))))

        reader = threading.Thread(target=read)
        reader.start()
        bodies.get(timeout=60).interrupt()
        reader.join(60)
        assert counts == [0]


def test_connection_that_is_shut_down_for_reading_can_still_send() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        shut_down_reading(ours)
        assert ours.recv(1) == b""
        ours.sendall(b"the response")
        assert theirs.recv(20) == b"the response"


def test_shutting_down_a_closed_connection_does_nothing() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    shut_down_reading(ours)


def test_server_that_offers_nothing_neither_stops_nor_sends_interim_responses() -> None:
    assert interim_response_sender({}) is None
    assert not is_stopping({})


def test_what_the_server_offers_is_found_by_its_name() -> None:
    def send(status: str, fields: Any) -> None:
        pass

    environ = {SEND_INTERIM_RESPONSE: send, STOPPING: True}
    assert interim_response_sender(environ) is send
    assert is_stopping(environ)
