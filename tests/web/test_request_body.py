"""The body of a request as blocks, from a server that offers a RequestBody."""

from collections.abc import Iterable
from typing import Any

import pytest

from fileservice.protocols.errors import IncompleteBody
from fileservice.web import request_body
from fileservice.web.errors import LengthRequired, TooSlow, WrongContentType
from fileservice.web.request_body import blocks, declared_length, require_content_type
from fileservice.wsgi_extensions import REQUEST_BODY
from tests.support.clock import Clock
from tests.support.rows import every_row

LINE = b"a line of text\n"


class Pieces:
    """A RequestBody that arrives in these pieces; an exception among them is raised.

    None among them is a moment at which nothing has arrived.
    """

    is_event_loop = True

    def __init__(self, pieces: Iterable[bytes | Exception | None], *, fast: bool = True) -> None:
        self._pieces = list(pieces)
        self._fast = fast

    def may_wait(self) -> bool:
        return self.is_event_loop

    def readinto(self, buffer: memoryview) -> int | None:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        if piece is None:
            assert not self.is_event_loop
            return None
        if isinstance(piece, Exception):
            raise piece
        buffer[: len(piece)] = piece
        return len(piece)

    def arrives_within(self, _seconds: float) -> bool:
        return self._fast

    def interrupt(self) -> None:
        raise AssertionError("nobody interrupts this body")


def received(environ: dict[str, Any], idle_timeout: float = 60) -> list[bytes]:
    return [bytes(block) for block in blocks(environ, idle_timeout)]


def body(
    *pieces: bytes | Exception | None, length: int | None, fast: bool = True
) -> dict[str, Any]:
    framing = {"HTTP_TRANSFER_ENCODING": "chunked"} if length is None else {}
    framing |= {} if length is None else {"CONTENT_LENGTH": str(length)}
    return {REQUEST_BODY: Pieces(pieces, fast=fast), **framing}


@every_row("length", [30, None])
def test_body_that_arrives_fast_is_one_block(length: int | None) -> None:
    assert received(body(LINE, LINE, length=length)) == [LINE * 2]


def test_body_that_arrives_slowly_is_passed_on_as_it_arrives() -> None:
    assert received(body(LINE, LINE, length=30, fast=False)) == [LINE, LINE]


def test_blocks_become_larger() -> None:
    pieces = [bytes(16 * 1024)] * 64
    sizes = []
    for block in blocks(body(*pieces, length=1 << 20), 60):
        sizes.append(len(block))
    assert sizes == [16 * 1024, 64 * 1024, 256 * 1024, 688 * 1024]


def test_block_of_chunks_is_passed_on_when_little_of_it_is_missing() -> None:
    pieces = [bytes(16 * 1024 - 60), bytes(64 * 1024 - 250), LINE]
    assert received(body(*pieces, length=None)) == pieces


def test_block_stays_unchanged_until_the_third_one_after_it_is_asked_for() -> None:
    lines = [LINE, LINE[::-1], LINE.upper(), LINE[::-1].upper()]
    arriving = blocks(body(*lines, length=60, fast=False), 60)
    kept = [next(arriving) for _ in range(3)]
    assert [bytes(block) for block in kept] == lines[:3]
    assert bytes(next(arriving)) == lines[3]


def test_thread_that_may_not_wait_gets_empty_blocks_until_the_event_loop_has_received_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_body, "time", Clock())  # a busy machine needs longer than it waits
    environ = body(LINE, None, LINE, LINE, length=45)
    environ[REQUEST_BODY].is_event_loop = False
    arriving = blocks(environ, 60)
    assert bytes(next(arriving)) == LINE * 3  # it waits for a moment
    environ = body(LINE, LINE, LINE, length=45, fast=False)
    environ[REQUEST_BODY].is_event_loop = False
    arriving = blocks(environ, 60)
    assert [bytes(next(arriving)) for _ in range(3)] == [LINE, b"", b""]
    environ[REQUEST_BODY].is_event_loop = True
    assert [bytes(block) for block in arriving] == [LINE, LINE]


@every_row("cause", [None, OSError("reset"), ValueError()])
def test_body_that_ends_early_raises_incomplete_body_after_what_arrived(
    cause: Exception | None,
) -> None:
    arriving = blocks(body(LINE, *([cause] if cause else []), length=100), 60)
    assert bytes(next(arriving)) == LINE
    with pytest.raises(IncompleteBody) as error:
        next(arriving)
    assert error.value.__cause__ is cause


def test_body_that_stalls_raises_too_slow_after_what_arrived() -> None:
    arriving = blocks(body(LINE, TimeoutError(), length=100), 60)
    assert bytes(next(arriving)) == LINE
    with pytest.raises(TooSlow):
        next(arriving)


def test_body_below_the_minimum_rate_raises_too_slow() -> None:
    with pytest.raises(TooSlow):
        received(body(*[b"a"] * 100, length=100, fast=False), idle_timeout=0)


def test_time_that_the_reader_of_the_blocks_takes_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(request_body, "time", clock)
    for _ in blocks(body(*[LINE] * 4, length=60, fast=False), idle_timeout=1):
        clock.now += 60  # the reader is slow


@every_row(
    ("environ", "length"),
    [({"CONTENT_LENGTH": "5"}, 5), ({"HTTP_TRANSFER_ENCODING": "chunked"}, None)],
)
def test_declared_length(environ: dict[str, str], length: int | None) -> None:
    assert declared_length(environ) == length


def test_body_without_framing_raises_length_required() -> None:
    with pytest.raises(LengthRequired):
        declared_length({})


@every_row("sent", ["text/plain", "TEXT/plain; charset=utf-8"])
def test_media_type_is_compared_without_case_and_parameters(sent: str) -> None:
    require_content_type({"CONTENT_TYPE": sent}, "text/plain")


def test_other_media_type_raises_wrong_content_type() -> None:
    with pytest.raises(WrongContentType):
        require_content_type({"CONTENT_TYPE": "text/html"}, "text/plain")
