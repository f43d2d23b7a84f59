"""100 Continue only if the body is read, and errors that reach clients which still send."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.serving.servers import ConfiguredServer, answers, receives_nothing
from tests.support.wire import (
    Wire,
    assert_holds_only,
    chunked,
    eventually,
    form,
    form_request,
    part,
    request,
)

LINE = b"a line of text that fills the file\n"
LINGER_SECONDS = 5
"""Clients that send on after an answer must never pause for so long, on a machine that is busy."""
EXPECT = "Expect: 100-continue"
PROBE = request("GET /healthz")
SMALL_BODY = 64 * 1024


@pytest.fixture
def server(start_server: Callable[..., ConfiguredServer]) -> ConfiguredServer:
    """A server that keeps `taken.txt`, and files of at most 100 MiB."""
    server = start_server(f"linger_timeout = {LINGER_SECONDS}", MAX_FILE_SIZE="100MiB")
    server.put("taken.txt", LINE)
    return server


@pytest.fixture
def wire(server: ConfiguredServer) -> Iterator[Wire]:
    with Wire(server) as wire:
        yield wire


@pytest.mark.parametrize("chunks", [False, True], ids=["with its length", "chunked"])
def test_client_that_expects_100_continue_gets_it(
    server: ConfiguredServer, wire: Wire, chunks: bool
) -> None:
    fields = (EXPECT, "Transfer-Encoding: chunked") if chunks else (EXPECT, "Content-Length: 35")
    wire.send(request("PUT /upload/a.txt", *fields))
    assert wire.answer().reason == "HTTP/1.1 100 Continue"
    assert receives_nothing(wire)
    wire.send((chunked(LINE) if chunks else LINE) + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_client_that_expects_100_continue_for_a_form_gets_it(wire: Wire) -> None:
    body = form(part("file", LINE, "a.txt"))
    wire.send(form_request(b"", EXPECT, f"Content-Length: {len(body)}"))
    assert wire.answer().status == 100
    assert receives_nothing(wire)
    wire.send(body + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_client_that_does_not_wait_for_100_continue_is_served(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.txt", EXPECT, body=LINE) + PROBE)
    got = [wire.answer().status for _ in range(2)]
    if got[0] == 100:
        got = [got[1], wire.answer().status]
    assert got == [201, 200]


def test_100_continue_is_sent_once_per_request(server: ConfiguredServer, wire: Wire) -> None:
    for name in ("a.txt", "b.txt"):
        wire.send(request(f"PUT /upload/{name}", EXPECT, "Content-Length: 70"))
        assert wire.answer().status == 100
        wire.send(LINE)
        assert receives_nothing(wire, 0.1)
        wire.send(LINE)
        assert wire.answer().status == 201


def test_empty_body_gets_no_100_continue(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.txt", EXPECT, body=b"") + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_http_1_0_request_gets_no_100_continue(wire: Wire) -> None:
    head = b"PUT /upload/a.txt HTTP/1.0\r\nContent-Length: 35\r\nExpect: 100-continue\r\n\r\n"
    wire.send(head)
    assert receives_nothing(wire)
    wire.send(LINE)
    assert [answer.status for answer in answers(wire)] == [201]


def test_unknown_expectation_gets_417(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.txt", "Expect: the-unexpected", body=LINE) + PROBE)
    assert [answer.status for answer in answers(wire)] == [417]


REFUSED = {
    "a taken name": ("PUT /upload/taken.txt", 1 << 20, 409),
    "an extension": ("PUT /upload/a.exe", 1 << 20, 415),
    "a size": ("PUT /upload/a.txt", 101 << 20, 413),
    "a name": ("PUT /upload/.a.txt", 1 << 20, 400),
    "a path": ("PUT /somewhere", 1 << 20, 404),
    "a method": ("POST /download/taken.txt", 1 << 20, 405),
    "a size that is discarded": ("PUT /upload/taken.txt", 100, 409),
}


@pytest.mark.parametrize(("line", "size", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_upload_gets_its_error_instead_of_100_continue(
    server: ConfiguredServer, wire: Wire, line: str, size: int, status: int
) -> None:
    wire.send(request(line, EXPECT, f"Content-Length: {size}"))
    answer = wire.answer()
    assert answer.status == status
    assert answer.closes()  # it is unknown whether the body or a request comes next
    assert wire.ended()
    assert_holds_only(server, ["taken.txt"])


def test_refused_chunked_upload_gets_its_error_instead_of_100_continue(wire: Wire) -> None:
    wire.send(request("PUT /upload/taken.txt", EXPECT, "Transfer-Encoding: chunked"))
    answer = wire.answer()
    assert (answer.status, answer.closes()) == (409, True)
    assert wire.ended()


def test_bytes_after_a_refused_expectation_are_not_a_request(
    server: ConfiguredServer, wire: Wire
) -> None:
    smuggled = request("PUT /upload/smuggled.txt", body=LINE)
    wire.send(request("PUT /upload/taken.txt", EXPECT, body=smuggled) + smuggled)
    assert [answer.status for answer in answers(wire)] == [409]
    assert_holds_only(server, ["taken.txt"])


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.thorough)])
def test_client_that_sends_64_mib_before_it_reads_gets_the_error(
    server: ConfiguredServer, times: int
) -> None:
    body = bytes(64 << 20)
    for _ in range(times):
        with Wire(server) as wire:
            wire.send(request("PUT /upload/taken.txt", f"Content-Length: {len(body)}"))
            wire.send(body)
            answer = wire.answer()
            assert (answer.status, answer.code()) == (409, "name-taken")
            assert answer.closes()
            assert wire.ended()


def test_client_that_sends_64_mib_of_chunks_before_it_reads_gets_the_error(
    server: ConfiguredServer,
) -> None:
    body = chunked(*[bytes(1 << 20)] * 64)
    for _ in range(3):
        with Wire(server) as wire:
            wire.send(request("PUT /upload/taken.txt", "Transfer-Encoding: chunked", body=body))
            assert wire.answer().code() == "name-taken"


def test_other_clients_are_served_while_a_refused_body_is_discarded(
    server: ConfiguredServer,
) -> None:
    with Wire(server) as refused, Wire(server) as other:
        refused.send(request("PUT /upload/taken.txt", "Content-Length: 67108864"))
        for _ in range(64):
            refused.send(bytes(1 << 20))
            assert other.ask(PROBE).status == 200
        assert refused.answer().status == 409


@pytest.mark.parametrize("sent", [0, 1, SMALL_BODY // 2, SMALL_BODY])
def test_request_after_a_small_refused_body_is_answered(wire: Wire, sent: int) -> None:
    body = bytes(SMALL_BODY)
    wire.send(request("PUT /upload/taken.txt", f"Content-Length: {SMALL_BODY}") + body[:sent])
    answer = wire.answer()
    assert answer.status == 409
    assert not answer.closes()
    wire.send(body[sent:] + request("PUT /upload/a.txt", body=LINE) + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_hundred_refused_bodies_in_one_segment_are_answered_in_order(wire: Wire) -> None:
    wire.send(request("PUT /upload/taken.txt", body=LINE) * 100 + PROBE)
    assert [wire.answer().status for _ in range(101)] == [409] * 100 + [200]


@pytest.mark.parametrize(
    "refused",
    [
        request("PUT /upload/taken.txt", body=bytes(SMALL_BODY + 1)),
        request("PUT /upload/taken.txt", "Transfer-Encoding: chunked", body=chunked(LINE)),
        request("PUT /upload/taken.txt", "Transfer-Encoding: chunked", body=chunked(bytes(99_999))),
    ],
    ids=["larger", "chunked", "chunked and larger"],
)
def test_connection_ends_after_a_refused_body_that_is_large_or_chunked(
    wire: Wire, refused: bytes
) -> None:
    wire.send(refused + PROBE)
    got = answers(wire)
    assert [(answer.status, answer.closes()) for answer in got] == [(409, True)]


def test_refused_client_that_never_closes_is_disconnected_after_the_linger_timeout(
    server: ConfiguredServer,
) -> None:
    eventually(lambda: not server.open_descriptors())
    with Wire(server) as wire:
        wire.send(request("PUT /upload/taken.txt", f"Content-Length: {1 << 20}"))
        assert wire.answer().status == 409
        eventually(lambda: not server.open_descriptors())


def test_refused_client_that_sends_slowly_reads_the_error(
    server: ConfiguredServer,
) -> None:
    with Wire(server) as wire:
        wire.send(request("PUT /upload/taken.txt", f"Content-Length: {100 << 20}"))
        for _ in range(6):
            wire.send(LINE)
            time.sleep(0.25 * LINGER_SECONDS)  # the pace of a slow client
        assert wire.answer().status == 409
