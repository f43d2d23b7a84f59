"""Whole or absent: a body that ends early, in any frame, at any point, is never published."""

import contextlib
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import LiveServer
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

HEAD_END = b"\r\n\r\n"
LINE = b"a line of text that fills the file\n"
DATA = LINE * 30_000  # larger than what a server is likely to read at once
SIZED = request("PUT /upload/a.txt", body=DATA)
CHUNKED = request(
    "PUT /upload/a.txt",
    "Transfer-Encoding: chunked",
    body=chunked(DATA[:1_000_000], DATA[1_000_000:]),
)
FORM = form_request(form(part("file", DATA, "a.txt"), part("comment", b"hello")))
CHUNKED_FORM = form_request(
    chunked(form(part("file", DATA, "a.txt"))), "Transfer-Encoding: chunked"
)


def head_of(whole: bytes) -> int:
    return whole.index(HEAD_END) + 4


PIECES = {
    "in the request line": SIZED[:10],
    "in the head": SIZED[: head_of(SIZED) - 10],
    "before the head's last byte": SIZED[: head_of(SIZED) - 1],
    "after the head": SIZED[: head_of(SIZED)],
    "after the body's first byte": SIZED[: head_of(SIZED) + 1],
    "in the middle of the body": SIZED[: head_of(SIZED) + len(DATA) // 2],
    "before the body's last byte": SIZED[:-1],
    "chunked, in the head": CHUNKED[: head_of(CHUNKED) - 10],
    "chunked, after the head": CHUNKED[: head_of(CHUNKED)],
    "chunked, in the first size": CHUNKED[: head_of(CHUNKED) + 2],
    "chunked, between CR and LF of a size": CHUNKED[: head_of(CHUNKED) + 6],
    "chunked, after a size": CHUNKED[: head_of(CHUNKED) + 7],
    "chunked, in the data": CHUNKED[: head_of(CHUNKED) + 600_000],
    "chunked, after the first data": CHUNKED[: head_of(CHUNKED) + 7 + 1_000_000],
    "chunked, after the first chunk": CHUNKED[: head_of(CHUNKED) + 7 + 1_000_000 + 2],
    "chunked, in the second size": CHUNKED[: head_of(CHUNKED) + 7 + 1_000_000 + 2 + 2],
    "chunked, before the CRLF of the last data": CHUNKED[:-7],
    "chunked, before the final chunk": CHUNKED[:-5],
    "chunked, in the final chunk": CHUNKED[:-4],
    "chunked, before the last CRLF": CHUNKED[:-2],
    "chunked, before the last byte": CHUNKED[:-1],
    "form, after the head": FORM[: head_of(FORM)],
    "form, in the part's head": FORM[: FORM.index(b"filename=") + 5],
    "form, in the data": FORM[: FORM.index(LINE) + len(DATA) // 2],
    "form, after the data": FORM[: FORM.index(b'; name="comment"') - 60],
    "form, in the field after the file": FORM[: FORM.index(b"hello") + 2],
    "form, before the last boundary": FORM[: FORM.rindex(b"--Xboundary")],
    "form, in the last boundary": FORM[:-10],
    "form, before the last hyphen": FORM[:-3],
    "form, before the last byte": FORM[:-1],
    "chunked form, in the data": CHUNKED_FORM[: CHUNKED_FORM.index(LINE) + len(DATA) // 2],
    "chunked form, before the final chunk": CHUNKED_FORM[:-5],
}
"""What arrives of a request, by where it is cut."""

WHOLE_FRAMES_OF_CUT_FORMS = {
    "in the part's head": part("file", b"", "a.txt")[:-20],
    "in the data": part("file", DATA, "a.txt"),
    "before the last boundary": form(part("file", DATA, "a.txt"))[2:-18],
    "in the last boundary": form(part("file", DATA, "a.txt"))[2:-8],
    "before the hyphens of the last boundary": form(part("file", DATA, "a.txt"))[2:-4],
    "between the hyphens of the last boundary": form(part("file", DATA, "a.txt"))[2:-3],
    "in the field after the file": form(part("file", DATA, "a.txt"), part("b", b"hello"))[2:-25],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    store = tmp_path_factory.mktemp("truncation") / "store"
    server = LiveServer({"STORE_URL": str(store), "WORKERS": "2", "FSYNC": "false"})
    yield server
    server.stop()


@pytest.fixture
def hasty_server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server that waits for one second, so that every client of it counts as silent."""
    server = LiveServer(
        {
            "STORE_URL": str(tmp_path / "store"),
            "WORKERS": "2",
            "IDLE_TIMEOUT": "1s",
            "FSYNC": "false",
        }
    )
    yield server
    server.stop()


def assert_refused(
    server: LiveServer, *fields: str, body: bytes, by: tuple[int, ...] = (400,)
) -> None:
    """What is sent with these fields and no more is refused, and leaves nothing."""
    with Wire(server) as wire:
        wire.send(request("PUT /upload/a.txt", *fields, body=body))
        wire.finish()
        assert wire.answer().status in by
    assert_absent(server)


def assert_absent(server: LiveServer) -> None:
    """Nothing is there, soon nothing is staged, and the server goes on."""
    with Wire(server) as wire:
        assert wire.ask(request("GET /download/a.txt")).status == 404
        assert_holds_only(server, [])
        assert wire.ask(request("PUT /upload/next.txt", body=LINE)).status == 201
        assert wire.ask(request("DELETE /download/next.txt")).status == 204
    assert_holds_only(server, [])


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_an_upload_cut_by_fin_is_refused_and_leaves_nothing(
    server: LiveServer, piece: bytes
) -> None:
    with Wire(server) as wire:
        wire.send(piece)
        wire.finish()
        if HEAD_END in piece:
            assert wire.answer().code() in ("incomplete-body", "bad-form")
    assert_absent(server)


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_an_upload_cut_by_rst_leaves_nothing(server: LiveServer, piece: bytes) -> None:
    with Wire(server) as wire:
        wire.send(piece)
        wire.reset()
    assert_absent(server)


def test_uploads_reset_after_their_bytes_were_staged_leave_nothing(
    server: LiveServer,
) -> None:
    bodies = [piece for piece in PIECES.values() if DATA[: len(DATA) // 2] in piece]
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in bodies]
        for wire, piece in zip(wires, bodies, strict=True):
            wire.send(piece)
        eventually(lambda: len(server.staged()) == len(bodies))
        for wire in wires:
            wire.reset()
    assert_absent(server)


def test_silent_uploads_are_answered_with_408_and_leave_nothing(hasty_server: LiveServer) -> None:
    bodies = {name: piece for name, piece in PIECES.items() if HEAD_END in piece}
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(hasty_server)) for name in bodies}
        for name, piece in bodies.items():
            wires[name].send(piece)
        for name, wire in wires.items():
            assert select.select([wire.socket], [], [], 30)[0], f"no answer when silent {name}"
            answer = wire.answer()
            assert (answer.status, answer.code()) == (408, "too-slow"), name
    assert_absent(hasty_server)


def test_clients_that_are_silent_within_the_head_do_not_disturb_others(
    server: LiveServer,
) -> None:
    heads = [piece for piece in PIECES.values() if HEAD_END not in piece]
    with contextlib.ExitStack() as stack:
        for piece in heads:
            stack.enter_context(Wire(server)).send(piece)
        assert_absent(server)


@pytest.mark.parametrize("chunks", [False, True], ids=["with its length", "chunked"])
@pytest.mark.parametrize(
    "body", WHOLE_FRAMES_OF_CUT_FORMS.values(), ids=WHOLE_FRAMES_OF_CUT_FORMS.keys()
)
def test_a_truncated_form_in_a_complete_body_leaves_nothing(
    server: LiveServer, body: bytes, chunks: bool
) -> None:
    body = b"--XboundaryX\r\n" + body.removeprefix(b"XboundaryX\r\n")
    with Wire(server) as wire:
        if chunks:
            wire.send(form_request(chunked(body), "Transfer-Encoding: chunked"))
        else:
            wire.send(form_request(body))
        answer = wire.answer()
        assert (answer.status, answer.code()) in ((400, "bad-form"), (400, "incomplete-body"))
    assert_absent(server)


@pytest.mark.parametrize(
    "size",
    [b"", b"g", b"-5", b"0x5", b"+5", b"5 5", b"_5", b"5_0", b"ffffffffffffffffff"],
    ids=repr,
)
def test_a_malformed_chunk_size_leaves_nothing(server: LiveServer, size: bytes) -> None:
    body = size + b"\r\nhello\r\n0\r\n\r\n"
    assert_refused(server, "Transfer-Encoding: chunked", body=body)


@pytest.mark.parametrize(
    "body",
    [b"3\r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\nhello\n0\n\n"],
    ids=["longer than its size", "without its end", "with bare line feeds"],
)
def test_a_malformed_chunk_leaves_nothing(server: LiveServer, body: bytes) -> None:
    assert_refused(server, "Transfer-Encoding: chunked", body=body)


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -5",),
        ("Content-Length: +5",),
        ("Content-Length: 5_0",),
        ("Content-Length: five",),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: chunked, gzip",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ],
    ids=str,
)
def test_an_ambiguous_body_length_leaves_nothing(
    server: LiveServer, fields: tuple[str, ...]
) -> None:
    assert_refused(server, *fields, body=chunked(b"hello"), by=(400, 411, 501))
