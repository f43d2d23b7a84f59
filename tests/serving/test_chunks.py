"""The data of chunks, for any chunks, any division of the bytes, and any buffers of the reader."""

import socket
import sys
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


def parts_of(*parts: bytes) -> list[bytes]:
    """Return those that are not empty: an empty part is the end of the connection."""
    return [part for part in parts if part]


class TestRunOfEqualChunks:
    """Chunks of one size, which all but the first are only compared with."""

    CHUNKS = tuple(bytes([letter]) * 10 for letter in b"abcdefgh")
    DATA = b"".join(CHUNKS)
    SENT = chunked(*CHUNKS) + FOLLOWING

    @pytest.mark.parametrize("size", range(1, 121))
    def test_chunk_may_end_at_any_offset_of_the_buffer(self, size: int) -> None:
        parts = [self.SENT]
        body, source = body_of(Parts(parts))
        assert read(body, size) == self.DATA
        assert source.take_buffered() + b"".join(parts) == FOLLOWING

    @pytest.mark.parametrize("cut", range(4, len(SENT)))
    def test_what_is_left_in_the_buffer_of_an_earlier_read_is_not_read_again(
        self, cut: int
    ) -> None:
        first, rest = self.SENT[:3], self.SENT[3:]
        parts = [first, self.SENT[3:cut], *parts_of(self.SENT[cut:])]
        body, source = body_of(Parts(parts))
        buffer, data = bytearray(len(rest)), b""
        while True:
            buffer[:] = rest  # what would have arrived, had the connection not paused
            if not (count := body.readinto(memoryview(buffer))):
                break
            data += buffer[:count]
        assert data == self.DATA
        assert source.take_buffered() + b"".join(parts) == FOLLOWING

    @pytest.mark.parametrize("trailers", [b"", b"A: 1\r\nB: 2\r\n"])
    @pytest.mark.parametrize(
        "other", [b"9\r\nABCDEFGHI", b"A\r\nABCDEFGHIJ", b"0a\r\nABCDEFGHIJ", b"b\r\nABCDEFGHIJK",
                  b"a;b=c\r\nABCDEFGHIJ", b"a ; b\r\nABCDEFGHIJ", b"aa\r\n" + b"x" * 170]
    )  # fmt: skip
    def test_chunk_of_another_size_or_with_another_size_line_is_read_as_well(
        self, other: bytes, trailers: bytes
    ) -> None:
        run = chunked(*self.CHUNKS)
        last = len(b"0\r\n\r\n")
        sent = run[:-last] + other + b"\r\n" + run[:-last] + b"0\r\n" + trailers + b"\r\n"
        data = self.DATA + other.partition(b"\r\n")[2] + self.DATA
        for size, parts in self.divisions(sent + FOLLOWING):
            seen: list[bytes] = []
            body, source = body_of(Parts(parts), seen.append)
            assert read(body, size) == data
            assert seen == parts_of(trailers.removesuffix(b"\r\n"))
            assert source.take_buffered() + b"".join(parts) == FOLLOWING

    @pytest.mark.parametrize(
        "between",
        [b"\n\na\r\n", b"\r\na\n\n", b"\r\na\r\r", b"\r\n\na\n", b"X\r\na\n", b"\r\ng\r\n",
         b"\r\n-a\r\n", b"\r\n a\r\n", b"\r\na \r\n", b"\r\n\r\n", b"a\r\n"],
    )  # fmt: skip
    def test_malformed_size_line_after_others_raises_an_error(self, between: bytes) -> None:
        run = chunked(*self.CHUNKS)
        sent = run[:-7] + between + run[3:]
        for size, parts in self.divisions(sent):
            body, source = body_of(Parts(parts))
            with pytest.raises(InvalidChunk):
                read(body, size)
            assert body.failed
            assert not source.take_buffered()

    @pytest.mark.parametrize("end", range(3, len(SENT) - len(FOLLOWING)))
    def test_body_that_ends_after_some_of_them_raises_an_error(self, end: int) -> None:
        for size in (25, 4096):
            body, _ = body_of(Parts([self.SENT[:3], *parts_of(self.SENT[3:40], self.SENT[40:end])]))
            with pytest.raises(TruncatedBody):
                read(body, size)

    @staticmethod
    def divisions(sent: bytes) -> Iterator[tuple[int, list[bytes]]]:
        """Yield sizes of the buffer, and parts, of which the second has the first three chunks.

        The third part ends at any byte near the end of the last of the equal chunks.
        """
        end = len(chunked(*TestRunOfEqualChunks.CHUNKS)) - 5
        yield 7, [sent[:3], sent[3:]]
        for cut in range(end - 10, min(end + 20, len(sent))):
            yield 4096, [sent[:3], sent[3:40], sent[40:cut], sent[cut:]]
            yield 25, [sent[:3], sent[3:40], sent[40:cut], sent[cut:]]


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


def test_equal_chunks_are_received_with_less_than_a_call_for_each(
    ends: tuple[gevent.socket.socket, socket.socket],
) -> None:
    server, client = ends
    body, _ = body_of(server)
    chunk, count = b"x" * 100, 400
    buffer = memoryview(bytearray(len(chunk) * count))
    events: list[str] = []

    def read() -> int | None:
        events.clear()
        sys.setprofile(lambda _frame, event, _argument: events.append(event))
        try:
            return body.readinto(buffer)
        finally:
            sys.setprofile(None)

    size_line, data = b"64\r\n", chunk + b"\r\n"
    with ThreadPoolExecutor(1) as thread:
        for sent, expected in [
            (size_line, None),
            (data + 2 * (size_line + data), 3 * len(chunk)),
            (count * (size_line + data), count * len(chunk)),
        ]:
            client.sendall(sent)
            assert thread.submit(read).result(IDLE_SECONDS) == expected
    assert events.count("call") + events.count("c_call") < count / 4


def test_more_equal_chunks_than_one_call_can_receive_are_all_read(
    ends: tuple[gevent.socket.socket, socket.socket],
) -> None:
    server, client = ends
    body, _ = body_of(server)
    data = b"xy" * 100_000
    with ThreadPoolExecutor(1) as thread, server:
        sending = thread.submit(client.sendall, chunked(*[b"xy"] * 100_000))
        assert read(body, len(data)) == data
        sending.result(IDLE_SECONDS)
