"""Where one request ends and the next begins, with both of gunicorn's parsers."""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.serving.servers import ConfiguredServer, answers
from tests.support.wire import Wire, ask, assert_holds_only, chunked, request

LINE = b"a line of text that fills the file\n"
WITNESS = request("PUT /upload/witness.txt", body=LINE)
SMUGGLED = request("PUT /upload/smuggled.txt", body=LINE)
PROBE = request("GET /healthz")


@pytest.fixture(params=["fast", "python"])
def server(
    request: pytest.FixtureRequest, start_server: Callable[..., ConfiguredServer]
) -> ConfiguredServer:
    """A server with either parser, empty."""
    return start_server(f"http_parser = {request.param!r}")


@pytest.fixture
def wire(server: ConfiguredServer) -> Iterator[Wire]:
    with Wire(server) as wire:
        yield wire


CHUNKED_BODIES = {
    "one chunk": chunked(LINE),
    "a chunk for every byte": chunked(*(bytes([byte]) for byte in LINE)),
    "sizes in capitals, with zeros before": b"00000023\r\n" + LINE + b"\r\n000\r\n\r\n",
    "extensions": b'23;a;b=1;c="d;e\\"f"\r\n' + LINE + b"\r\n0;last=yes\r\n\r\n",
    "extensions with spaces": b"23 ; a = 1\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a trailer": b"23\r\n" + LINE + b"\r\n0\r\nX-Checksum: 1\r\n\r\n",
    "several trailers": b"23\r\n" + LINE + b"\r\n0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
    "a trailer that reads like a request": b"23\r\n"
    + LINE
    + b"\r\n0\r\nGET: /download/witness.txt HTTP/1.1\r\n\r\n",
    "data that reads like the end": b"5\r\n0\r\n\r\n\r\n23\r\n" + LINE + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNKED_BODIES.values(), ids=CHUNKED_BODIES.keys())
def test_request_after_a_chunked_body_is_answered(
    server: ConfiguredServer, wire: Wire, body: bytes
) -> None:
    wire.send(
        request("PUT /upload/a.txt", "Transfer-Encoding: chunked", body=body)
        + request("GET /download/a.txt")
        + WITNESS
    )
    assert wire.answer().status == 201
    got = wire.answer().body
    assert got.endswith(LINE)
    assert len(got) in (len(LINE), len(LINE) + 5)
    assert wire.answer().status == 201
    assert server.published() == ["a.txt", "witness.txt"]


def conversation() -> bytes:
    """Uploads, refusals and reads with every kind of body, one behind the other."""
    return b"".join(
        [
            request("PUT /upload/a.txt", body=LINE),
            request(
                "PUT /upload/b.txt",
                "Transfer-Encoding: chunked",
                body=CHUNKED_BODIES["several trailers"],
            ),
            request("PUT /upload/a.txt", body=LINE),  # refused, its body unread
            request("PUT /upload/c.txt", body=b""),
            request("GET /download/a.txt", body=LINE),  # a body that means nothing
            request("HEAD /download/b.txt"),
            b"\r\n" + request("GET /download/b.txt", "Range: bytes=2-5"),
            request("DELETE /download/c.txt"),
            request("GET /healthz", "Connection: close"),
        ]
    )


def assert_conversation_is_answered(wire: Wire) -> None:
    methods = [b"PUT", b"PUT", b"PUT", b"PUT", b"GET", b"HEAD", b"GET", b"DELETE", b"GET"]
    got = [wire.answer(to=method) for method in methods]
    assert [answer.status for answer in got] == [201, 201, 409, 201, 200, 200, 206, 204, 200]
    assert got[4].body == LINE
    assert got[6].body == LINE[2:6]
    assert wire.ended()


def test_requests_in_one_segment_are_answered_in_order(wire: Wire) -> None:
    wire.send(conversation())
    assert_conversation_is_answered(wire)


def test_requests_sent_byte_by_byte_are_answered_in_order(wire: Wire) -> None:
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in conversation():
        wire.send(bytes([byte]))
    assert_conversation_is_answered(wire)


@pytest.mark.parametrize("size", [2, 7, 61, 255, 400])
def test_requests_in_segments_of_any_size_are_answered_in_order(wire: Wire, size: int) -> None:
    whole = conversation()
    for start in range(0, len(whole), size):
        wire.send(whole[start : start + size])
    assert_conversation_is_answered(wire)


def test_requests_after_bodies_larger_than_any_buffer_are_answered(wire: Wire) -> None:
    data = LINE * 30_000
    wire.send(
        request("PUT /upload/a.txt", body=data)
        + request(
            "PUT /upload/b.txt",
            "Transfer-Encoding: chunked",
            body=chunked(data[:1], data[1:70_000], data[70_000:]),
        )
        + PROBE
    )
    assert [wire.answer().status for _ in range(3)] == [201, 201, 200]
    assert wire.ask(request("GET /download/a.txt")).body == data
    assert wire.ask(request("GET /download/b.txt")).body == data


def test_client_that_half_closes_after_its_request_reads_the_whole_response(
    server: ConfiguredServer, wire: Wire
) -> None:
    data = LINE * 300_000
    server.put("large.txt", data)
    wire.send(PROBE + request("GET /download/large.txt"))
    wire.finish()
    assert wire.answer().status == 200
    assert wire.answer().body == data
    assert wire.ended()


@pytest.mark.parametrize("end", ["finish", "reset"])
@pytest.mark.parametrize("cut", [1, 10, 40, -40, -1])
def test_connection_that_ends_within_its_second_request_stores_nothing_of_it(
    server: ConfiguredServer, cut: int, end: str
) -> None:
    second = request("PUT /upload/second.txt", body=LINE)[:cut]
    with Wire(server) as wire:
        assert wire.ask(request("PUT /upload/first.txt", body=LINE)).status == 201
        wire.send(second)
        getattr(wire, end)()
        if end == "finish":
            assert [answer.status for answer in answers(wire)] in ([], [400])
    assert_holds_only(server, ["first.txt"])
    assert ask(server, PROBE).status == 200


HIDDEN = b"0\r\n\r\n" + SMUGGLED
"""As a chunked body this ends immediately, and what follows is another request."""


def put(*fields: bytes, version: bytes = b"HTTP/1.1", target: bytes = b"/upload/a.txt") -> bytes:
    return b"\r\n".join(
        [b"PUT " + target + b" " + version, b"Host: files.example", *fields, b"", b""]
    )


LENGTH = b"Content-Length: %d" % len(HIDDEN)
SMUGGLING = {
    "a length and chunks": put(LENGTH, b"Transfer-Encoding: chunked") + HIDDEN,
    "chunks and a length": put(b"Transfer-Encoding: chunked", LENGTH) + HIDDEN,
    "a length of nothing and chunks": put(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    + HIDDEN,
    "two lengths": put(b"Content-Length: 5", LENGTH) + HIDDEN,
    "two lengths that agree": put(LENGTH, LENGTH) + HIDDEN,
    "a list of lengths": put(b"Content-Length: 5, %d" % len(HIDDEN)) + HIDDEN,
    "a length with a sign": put(b"Content-Length: +5") + HIDDEN,
    "a length below nothing": put(b"Content-Length: -1") + HIDDEN,
    "a length in hexadecimal": put(b"Content-Length: 0x5") + HIDDEN,
    "a length with a space in it": put(b"Content-Length: 5 0") + HIDDEN,
    "an empty length": put(b"Content-Length:") + HIDDEN,
    "a length in digits that are not ASCII": put(b"Content-Length: \xb2") + HIDDEN,
    "a length of five thousand digits": put(b"Content-Length: " + b"1" * 5000) + HIDDEN,
    "a space before the colon": put(b"Content-Length : 5") + HIDDEN,
    "a space before the colon of the coding": put(b"Transfer-Encoding : chunked") + HIDDEN,
    "a folded field": put(b"Transfer-Encoding:", b" chunked") + HIDDEN,
    "a line folded after a length": put(LENGTH, b" 5") + HIDDEN,
    "a field that begins with a space": put(b" Transfer-Encoding: chunked", LENGTH) + HIDDEN,
    "a bare line feed that hides a field": put(b"X: y\nTransfer-Encoding: chunked") + HIDDEN,
    "a bare carriage return that hides a field": put(b"X: y\rTransfer-Encoding: chunked", LENGTH)
    + HIDDEN,
    "a zero byte in a field": put(b"X: y\0z", LENGTH) + HIDDEN,
    "a zero byte in a name": put(b"X\0: y", LENGTH) + HIDDEN,
    "a line without a colon": put(b"Transfer-Encoding chunked", LENGTH) + HIDDEN,
    "an unknown coding": put(b"Transfer-Encoding: xchunked") + HIDDEN,
    "an unknown coding before chunks": put(b"Transfer-Encoding: cow, chunked") + HIDDEN,
    "a coding after chunks": put(b"Transfer-Encoding: chunked, identity") + HIDDEN,
    "chunks twice": put(b"Transfer-Encoding: chunked, chunked") + HIDDEN,
    "chunks in two fields": put(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
    + HIDDEN,
    "a coding with a vertical tab": put(b"Transfer-Encoding: \x0bchunked") + HIDDEN,
    "a coding in quotes": put(b'Transfer-Encoding: "chunked"') + HIDDEN,
    "an empty coding": put(b"Transfer-Encoding:") + HIDDEN,
    "an empty coding and a length": put(b"Transfer-Encoding:", LENGTH) + HIDDEN,
    "identity and a length": put(b"Transfer-Encoding: identity", LENGTH) + HIDDEN,
    "chunks in HTTP/1.0": put(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + HIDDEN,
    "two hosts": put(b"Host: other.example", LENGTH) + HIDDEN,
    "a version that is none": put(LENGTH, version=b"HTTP/1.x") + HIDDEN,
    "another version": put(LENGTH, version=b"HTTP/2.0") + HIDDEN,
    "no version": b"GET /healthz\r\n\r\n" + SMUGGLED,
    "spaces in the target": put(LENGTH, target=b"/upload/a .txt") + HIDDEN,
    "bytes in the target that are not ASCII": put(LENGTH, target=b"/upload/\xff.txt") + HIDDEN,
    "a bare line feed after the request line": b"GET /healthz HTTP/1.1\nHost: a\n\n" + SMUGGLED,
    "two empty lines before the request": b"\r\n\r\n" + put(LENGTH) + HIDDEN,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "a greeting in TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + SMUGGLED,
    "a tunnel": b"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("shape", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_ambiguous_request_gets_one_error_and_ends_the_connection(
    server: ConfiguredServer, wire: Wire, shape: bytes
) -> None:
    wire.send(shape + SMUGGLED)
    got = answers(wire)
    assert [400 <= answer.status < 500 or answer.status in (501, 505) for answer in got] == [True]
    assert got[0].closes()
    assert_holds_only(server, [])


def chunky(body: bytes) -> bytes:
    return put(b"Transfer-Encoding: chunked") + body


BAD_CHUNKS = {
    "no size": b"\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size that is no number": b"xyz\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size with its base": b"0x23\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size below nothing": b"-23\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size with a space before": b" 23\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size with a space after": b"23 \r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size with a line feed only": b"23\n" + LINE + b"\r\n0\r\n\r\n",
    "a size with a carriage return only": b"23\r" + LINE + b"\r\n0\r\n\r\n",
    "a size too small": b"22\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a size too large": b"24\r\n" + LINE + b"\r\n0\r\n\r\n",
    "data that ends in a line feed only": b"23\r\n" + LINE + b"\n0\r\n\r\n",
    "an extension with a line feed": b"23;a\nb\r\n" + LINE + b"\r\n0\r\n\r\n",
    "an extension with a carriage return": b"23;a\rb\r\n" + LINE + b"\r\n0\r\n\r\n",
    "an extension without a name": b"23;=1\r\n" + LINE + b"\r\n0\r\n\r\n",
    "an extension whose quotes do not end": b'23;a="b\r\n' + LINE + b"\r\n0\r\n\r\n",
    "an extension that never ends": b"23;" + b"a" * 20_000 + b"\r\n" + LINE + b"\r\n0\r\n\r\n",
    "zeros that never end": b"0" * 20_000 + b"23\r\n" + LINE + b"\r\n0\r\n\r\n",
    "a trailer with a line feed only": b"23\r\n" + LINE + b"\r\n0\r\nA: 1\n\r\n\r\n",
    "a trailer without a colon": b"23\r\n" + LINE + b"\r\n0\r\nhello\r\n\r\n",
    "a trailer that is a length": b"23\r\n" + LINE + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a trailer that is a coding": b"23\r\n" + LINE + b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a trailer that is a host": b"23\r\n" + LINE + b"\r\n0\r\nHost: a\r\n\r\n",
    "a trailer that is folded": b"23\r\n" + LINE + b"\r\n0\r\nA: 1\r\n b\r\n\r\n",
    "a trailer too long": b"23\r\n" + LINE + b"\r\n0\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
    "trailers without end": b"23\r\n" + LINE + b"\r\n0\r\n" + b"A: 1\r\n" * 200_000 + b"\r\n",
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_invalid_chunks_get_one_400_and_end_the_connection(
    server: ConfiguredServer, wire: Wire, body: bytes
) -> None:
    wire.send(chunky(body) + SMUGGLED)
    got = answers(wire)
    assert [answer.status for answer in got] == [400]
    assert got[0].closes()
    assert_holds_only(server, [])


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked", "compress,chunked"])
def test_unsupported_transfer_coding_is_refused_and_nothing_is_stored(
    server: ConfiguredServer, wire: Wire, coding: str
) -> None:
    """RFC 9112 section 6.1: 501 to a coding that is not understood."""
    wire.send(
        request("PUT /upload/a.txt", f"Transfer-Encoding: {coding}", body=chunked(LINE)) + SMUGGLED
    )
    got = answers(wire)
    assert [answer.status for answer in got] in ([400], [501])
    assert_holds_only(server, [])


BOMBS = {
    "a request line too long": (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a request line without end": (b"GET /" + b"a" * 1_000_000, 414),
    "a field too long": (put(b"X: " + b"a" * 10_000), 431),
    "a field without end": (put()[:-2] + b"X: " + b"a" * 1_000_000, 431),
    "a name without end": (put()[:-2] + b"X" * 1_000_000, 431),
    "too many fields": (put(*(b"X-%d: y" % n for n in range(200))), 431),
    "fields without end": (put()[:-2] + b"X: y\r\n" * 200_000, 431),
    "a hundred thousand hosts": (put(*[b"Host: a"] * 100_000), 431),
}


@pytest.mark.parametrize(("bomb", "status"), BOMBS.values(), ids=BOMBS.keys())
def test_head_that_is_too_long_gets_an_error_that_the_client_can_read(
    server: ConfiguredServer, wire: Wire, bomb: bytes, status: int
) -> None:
    wire.send(bomb + SMUGGLED)
    got = answers(wire)
    assert len(got) == 1
    assert got[0].status in (status, 400, 431), got
    assert got[0].closes()
    assert_holds_only(server, [])


def padded(size: int) -> bytes:
    """A request whose head has `size` bytes, in fields that are each within their limit."""
    head = put(b"Content-Length: 0")[:-2]
    fields = [b"X: " + b"a" * 4000 + b"\r\n"] * ((size - len(head)) // 4005)
    rest = size - len(head) - 4005 * len(fields) - len(b"Y: \r\n\r\n")
    return head + b"".join(fields) + b"Y: " + b"a" * rest + b"\r\n\r\n"


def test_head_of_32_kib_is_accepted_and_a_longer_one_gets_431(server: ConfiguredServer) -> None:
    assert ask(server, padded(32 * 1024)).status == 201
    with Wire(server) as wire:
        wire.send(padded(32 * 1024 + 1))
        (answer,) = answers(wire)
        assert (answer.status, answer.code()) == (431, "bad-request")
    assert_holds_only(server, ["a.txt"])


def test_longest_upload_concat_fits_in_its_field(wire: Wire) -> None:
    parts = " ".join(f"/tus/{number:032x}" for number in range(214))
    name = "Upload-Metadata: filename YS50eHQ="
    field = f"Upload-Concat: final;{parts}"
    assert 8150 < len(field) < 8190
    answer = wire.ask(request("POST /tus/", "Tus-Resumable: 1.0.0", name, field))
    assert answer.code() == "bad-concat"


def test_very_long_accept_counts_as_no_preference(wire: Wire) -> None:
    accept = "text/html" + ",a/b" * 2000
    answer = wire.ask(request("GET /nothing", f"Accept: {accept[:8000]}"))
    assert (answer.status, answer.code()) == (404, "not-found")


@pytest.mark.parametrize("authority", ["other.example", "other.example:8080", "[::1]:8080"])
def test_authority_of_an_absolute_target_replaces_host(
    server: ConfiguredServer, wire: Wire, authority: str
) -> None:
    """RFC 9112 section 3.2.2."""
    server.put("a.txt", LINE)
    answer = wire.ask(request(f"GET http://{authority}/download?limit=1"))
    assert [file["url"] for file in answer.json()] == [f"http://{authority}/download/a.txt"]


def test_absolute_target_without_a_path_is_the_root(wire: Wire) -> None:
    answer = wire.ask(request("GET http://other.example"))
    assert (answer.status, answer.headers["Location"]) == (302, "/upload")


@pytest.mark.parametrize("authority", ["", "user@other.example", "a:b", "a\\b"])
def test_absolute_target_with_a_bad_authority_gets_400(wire: Wire, authority: str) -> None:
    wire.send(request(f"GET http://{authority}/download") + PROBE)
    assert [answer.status for answer in answers(wire)] == [400]


@pytest.mark.parametrize("shape", ["two lengths", "chunks and a length", "two hosts"])
def test_bad_request_after_good_ones_ends_the_connection_after_their_responses(
    server: ConfiguredServer, wire: Wire, shape: str
) -> None:
    wire.send(WITNESS + PROBE + SMUGGLING[shape] + SMUGGLED)
    assert [answer.status for answer in answers(wire)] == [201, 200, 400]
    assert_holds_only(server, ["witness.txt"])
