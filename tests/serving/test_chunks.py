"""The data of chunks, for any chunks, any division of the bytes, and any buffers of the reader."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import gevent
import gevent.socket
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.serving.body import TruncatedBody
from fileservice.serving.chunks import InvalidChunk
from tests.support.arriving import IDLE_SECONDS, Parts, body_of, read
from tests.support.rows import every_row
from tests.support.wire import chunked

FOLLOWING = b"GET /next HTTP/1.1\r\n"

data_like_framing = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=60), st.sampled_from([b"\r\n", b"0\r\n\r\n", b"5\r\n"])
    ),
    min_size=1,
    max_size=8,
)
framings = st.sampled_from(["", ";a", ' ; a = "b;c"', ";a=b;c=d"])


@given(
    chunks=data_like_framing,
    extension=framings,
    trailers=st.sampled_from([b"", b"A: 1\r\n", b"A: 1\r\nB: 2\r\n"]),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=6),
    size=st.integers(1, 100),
    zeros=st.integers(0, 3),
)
def test_data_of_any_chunks_is_read_and_what_follows_is_left(
    chunks: list[bytes], extension: str, trailers: bytes, cuts: list[int], size: int, zeros: int
) -> None:
    head = "0" * zeros + "{:X}" + extension + "\r\n"
    sent = b"".join(head.format(len(chunk)).encode() + chunk + b"\r\n" for chunk in chunks)
    sent += f"0{extension}\r\n".encode() + trailers + b"\r\n" + FOLLOWING
    parts, position = [], 0
    while position < len(sent):
        length = cuts[len(parts) % len(cuts)]
        parts.append(sent[position : position + length])
        position += length
    body, source = body_of(Parts(parts))
    assert read(body, size) == b"".join(chunks)
    assert body.at_end
    assert source.take_buffered() + b"".join(parts) == FOLLOWING


@every_row("size", [16_000, 16_384, 20_000, 81_000])
def test_last_chunk_that_arrives_with_data_ends_the_body_at_once(size: int) -> None:
    sent = chunked(b"x" * size)
    parts = [sent[: 1 << 14], sent[1 << 14 :]] if size >= 1 << 14 else [sent]
    body, _ = body_of(Parts(parts))
    buffer, count = memoryview(bytearray(1 << 20)), 0
    while count < size:
        received = body.readinto(buffer)
        assert received
        count += received
    assert body.at_end, "otherwise more is waited for"


@given(cut=st.integers(1, len(chunked(b"x" * 50, b"y" * 20)) - 1), size=st.integers(1, 100))
def test_body_that_ends_early_raises_an_error(cut: int, size: int) -> None:
    body, _ = body_of(Parts([chunked(b"x" * 50, b"y" * 20)[:cut]]))
    with pytest.raises(TruncatedBody):
        read(body, size)
    assert body.failed


@pytest.mark.parametrize(
    "sent",
    [
        b"3\r\nabcX\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n\r\n",
        b"3\r\nabc\r\n0x3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n+3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n 3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n3_0\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n11111111111111111\r\nabc\r\n0\r\n\r\n",
        b'3;a="\r\n"\r\nabc\r\n0\r\n\r\n',
        b"3\r\nabc\r\n0\r\nA: 1\nB: 2\r\n\r\n",
        b"3\r\nabc\r\n" + b"0" * 8200,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 8192])
def test_malformed_chunks_raise_an_error(sent: bytes, size: int) -> None:
    body, _ = body_of(Parts([sent]))
    with pytest.raises(InvalidChunk):
        read(body, size)
    assert not body.is_reusable()


@pytest.fixture
def ends() -> Iterator[tuple[gevent.socket.socket, socket.socket]]:
    """The server's end of a connection, and the client's, whose calls block."""
    server, client = socket.socketpair()
    with client, gevent.socket.socket(fileno=server.detach()) as wrapped:
        wrapped.settimeout(IDLE_SECONDS)
        yield wrapped, client


def test_thread_gets_none_where_more_framing_or_data_is_yet_to_come(
    ends: tuple[gevent.socket.socket, socket.socket],
) -> None:
    server, client = ends
    body, _ = body_of(server)
    buffer = memoryview(bytearray(100))
    with ThreadPoolExecutor(1) as thread:

        def read_in_thread() -> int | None:
            return thread.submit(body.readinto, buffer).result(IDLE_SECONDS)

        for sent, expected in [
            (b"", None), (b"1", None), (b"0\r\n", None), (b"0123456789abc", 13), (b"def\r", 3),
            (b"\n0", None), (b"\r\n", None), (b"\r\n", 0),
        ]:  # fmt: skip
            client.sendall(sent)
            assert read_in_thread() == expected
    assert body.at_end
