"""100 Continue when the body is wanted and not before; refusals that their clients can read."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.serving.rig import TunedServer, answers, comes_nothing
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
EXPECT = "Expect: 100-continue"
PROBE = request("GET /healthz")
SMALL_REST = 64 * 1024


@pytest.fixture
def server(tune: Callable[..., TunedServer]) -> TunedServer:
    """A server that keeps `taken.txt`, and files of at most 100 MiB."""
    server = tune(MAX_FILE_SIZE="100MiB", IDLE_TIMEOUT="5s")
    server.put("taken.txt", LINE)
    return server


@pytest.fixture
def wire(server: TunedServer) -> Iterator[Wire]:
    with Wire(server) as wire:
        yield wire


@pytest.mark.parametrize("chunks", [False, True], ids=["with its length", "chunked"])
def test_a_client_that_waits_is_told_to_go_on(
    server: TunedServer, wire: Wire, chunks: bool
) -> None:
    fields = (EXPECT, "Transfer-Encoding: chunked") if chunks else (EXPECT, "Content-Length: 35")
    wire.send(request("PUT /upload/a.txt", *fields))
    assert wire.answer().reason == "HTTP/1.1 100 Continue"
    assert comes_nothing(wire)
    wire.send((chunked(LINE) if chunks else LINE) + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_a_client_that_waits_with_a_form_is_told_to_go_on(wire: Wire) -> None:
    body = form(part("file", LINE, "a.txt"))
    wire.send(form_request(b"", EXPECT, f"Content-Length: {len(body)}"))
    assert wire.answer().status == 100
    assert comes_nothing(wire)
    wire.send(body + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_a_client_that_does_not_wait_is_in_step(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.txt", EXPECT, body=LINE) + PROBE)
    got = [wire.answer().status for _ in range(2)]
    if got[0] == 100:
        got = [got[1], wire.answer().status]
    assert got == [201, 200]


def test_the_word_to_go_on_is_given_once_for_each_request(server: TunedServer, wire: Wire) -> None:
    for name in ("a.txt", "b.txt"):
        wire.send(request(f"PUT /upload/{name}", EXPECT, "Content-Length: 70"))
        assert wire.answer().status == 100
        wire.send(LINE)
        assert comes_nothing(wire, 0.1)
        wire.send(LINE)
        assert wire.answer().status == 201


def test_an_empty_body_needs_no_word(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.txt", EXPECT, body=b"") + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_http_1_0_knows_no_word(wire: Wire) -> None:
    head = b"PUT /upload/a.txt HTTP/1.0\r\nContent-Length: 35\r\nExpect: 100-continue\r\n\r\n"
    wire.send(head)
    assert comes_nothing(wire)
    wire.send(LINE)
    assert [answer.status for answer in answers(wire)] == [201]


def test_another_expectation_fails(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.txt", "Expect: the-unexpected", body=LINE) + PROBE)
    assert [answer.status for answer in answers(wire)] == [417]


REFUSED = {
    "a taken name": ("PUT /upload/taken.txt", 1 << 20, 409),
    "an extension": ("PUT /upload/a.exe", 1 << 20, 415),
    "a size": ("PUT /upload/a.txt", 101 << 20, 413),
    "a name": ("PUT /upload/.a.txt", 1 << 20, 400),
    "a path": ("PUT /somewhere", 1 << 20, 404),
    "a method": ("POST /download/taken.txt", 1 << 20, 405),
    "a size within the small rest": ("PUT /upload/taken.txt", 100, 409),
}


@pytest.mark.parametrize(("line", "size", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_a_client_that_waits_never_has_to_send_what_is_refused(
    server: TunedServer, wire: Wire, line: str, size: int, status: int
) -> None:
    wire.send(request(line, EXPECT, f"Content-Length: {size}"))
    answer = wire.answer()
    assert answer.status == status
    assert answer.closes()  # nobody knows whether the body or a request would come now
    assert wire.ended()
    assert_holds_only(server, ["taken.txt"])


def test_a_client_that_waits_with_chunks_never_has_to_send_what_is_refused(wire: Wire) -> None:
    wire.send(request("PUT /upload/taken.txt", EXPECT, "Transfer-Encoding: chunked"))
    answer = wire.answer()
    assert (answer.status, answer.closes()) == (409, True)
    assert wire.ended()


def test_what_follows_a_refusal_that_was_not_waited_for_is_no_request(
    server: TunedServer, wire: Wire
) -> None:
    smuggled = request("PUT /upload/smuggled.txt", body=LINE)
    wire.send(request("PUT /upload/taken.txt", EXPECT, body=smuggled) + smuggled)
    assert [answer.status for answer in answers(wire)] == [409]
    assert_holds_only(server, ["taken.txt"])


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.thorough)])
def test_a_client_that_sends_64_mib_before_it_reads_still_reads_the_refusal(
    server: TunedServer, times: int
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


def test_a_client_that_sends_64_mib_of_chunks_before_it_reads_still_reads_the_refusal(
    server: TunedServer,
) -> None:
    body = chunked(*[bytes(1 << 20)] * 64)
    for _ in range(3):
        with Wire(server) as wire:
            wire.send(request("PUT /upload/taken.txt", "Transfer-Encoding: chunked", body=body))
            assert wire.answer().code() == "name-taken"


def test_others_are_answered_while_a_refused_body_is_let_run_out(server: TunedServer) -> None:
    with Wire(server) as refused, Wire(server) as other:
        refused.send(request("PUT /upload/taken.txt", "Content-Length: 67108864"))
        for _ in range(64):
            refused.send(bytes(1 << 20))
            begun = time.monotonic()
            assert other.ask(PROBE).status == 200
            assert time.monotonic() - begun < 5
        assert refused.answer().status == 409


@pytest.mark.parametrize("sent", [0, 1, SMALL_REST // 2, SMALL_REST])
def test_after_the_refusal_of_a_small_body_the_next_request_is_answered(
    wire: Wire, sent: int
) -> None:
    body = bytes(SMALL_REST)
    wire.send(request("PUT /upload/taken.txt", f"Content-Length: {SMALL_REST}") + body[:sent])
    answer = wire.answer()
    assert answer.status == 409
    assert not answer.closes()
    wire.send(body[sent:] + request("PUT /upload/a.txt", body=LINE) + PROBE)
    assert [wire.answer().status for _ in range(2)] == [201, 200]


def test_a_hundred_refusals_of_small_bodies_in_one_segment_keep_in_step(wire: Wire) -> None:
    wire.send(request("PUT /upload/taken.txt", body=LINE) * 100 + PROBE)
    assert [wire.answer().status for _ in range(101)] == [409] * 100 + [200]


@pytest.mark.parametrize(
    "refused",
    [
        request("PUT /upload/taken.txt", body=bytes(SMALL_REST + 1)),
        request("PUT /upload/taken.txt", "Transfer-Encoding: chunked", body=chunked(LINE)),
        request("PUT /upload/taken.txt", "Transfer-Encoding: chunked", body=chunked(bytes(99_999))),
    ],
    ids=["larger", "chunked", "chunked and larger"],
)
def test_after_the_refusal_of_another_body_the_connection_ends(wire: Wire, refused: bytes) -> None:
    wire.send(refused + PROBE)
    got = answers(wire)
    assert [(answer.status, answer.closes()) for answer in got] == [(409, True)]


def test_a_client_that_is_refused_and_never_goes_is_let_go(server: TunedServer) -> None:
    eventually(lambda: not server.held())
    with Wire(server) as wire:
        wire.send(request("PUT /upload/taken.txt", f"Content-Length: {1 << 20}"))
        assert wire.answer().status == 409
        eventually(lambda: not server.held(), 20)  # it may linger for 30 s in all


def test_a_client_that_is_refused_and_sends_slowly_still_reads_the_refusal(
    tune: Callable[..., TunedServer],
) -> None:
    server = tune(
        "import fileservice.serving.transmit as transmit",
        "transmit.LINGER_IDLE_SECONDS = 1.0",
    )
    server.put("taken.txt", LINE)
    with Wire(server) as wire:
        wire.send(request("PUT /upload/taken.txt", f"Content-Length: {100 << 20}"))
        for _ in range(15):
            wire.send(LINE)
            time.sleep(0.2)  # the pace of a slow client
        assert wire.answer().status == 409
