"""Conditions: RFC 9110 section 13, in its order, for downloads and deletions."""

import pytest

from tests.http.known_file import BYTES, SIZE, THEN, date, get
from tests.support.servers import LiveServer
from tests.support.wire import Wire

RIGHT = "RIGHT"
CONDITIONS = [
    # If-Match
    (["If-Match: RIGHT"], 200),
    (["If-Match: *"], 200),
    (['If-Match: "x", RIGHT , "y"'], 200),
    (['If-Match: "x"'], 412),
    (["If-Match: W/RIGHT"], 412),
    (["If-Match: nonsense"], 412),
    # If-Unmodified-Since
    ([f"If-Unmodified-Since: {date(THEN)}"], 200),
    ([f"If-Unmodified-Since: {date(THEN + 1)}"], 200),
    ([f"If-Unmodified-Since: {date(THEN - 1)}"], 412),
    (["If-Unmodified-Since: yesterday"], 200),
    (["If-Match: RIGHT", f"If-Unmodified-Since: {date(THEN - 1)}"], 200),
    (['If-Match: "x"', f"If-Unmodified-Since: {date(THEN + 1)}"], 412),
    # If-None-Match
    (["If-None-Match: RIGHT"], 304),
    (["If-None-Match: W/RIGHT"], 304),
    (["If-None-Match: *"], 304),
    (['If-None-Match: "x",RIGHT'], 304),
    (['If-None-Match: "x, RIGHT"'.replace("RIGHT", "y")], 200),
    (['If-None-Match: "x"'], 200),
    (["If-None-Match: nonsense"], 200),
    # If-Modified-Since
    ([f"If-Modified-Since: {date(THEN)}"], 304),
    ([f"If-Modified-Since: {date(THEN + 1)}"], 304),
    ([f"If-Modified-Since: {date(THEN - 1)}"], 200),
    (["If-Modified-Since: yesterday"], 200),
    (["If-Modified-Since: Friday, 14-Jul-17 02:40:00 GMT"], 304),
    (["If-Modified-Since: Fri Jul 14 02:40:00 2017"], 304),
    (["If-None-Match: RIGHT", f"If-Modified-Since: {date(THEN - 1)}"], 304),
    (['If-None-Match: "x"', f"If-Modified-Since: {date(THEN + 1)}"], 200),
    # what comes first
    (['If-Match: "x"', "If-None-Match: RIGHT"], 412),
    (["If-Match: RIGHT", "If-None-Match: RIGHT"], 304),
    ([f"If-Unmodified-Since: {date(THEN - 1)}", "If-None-Match: RIGHT"], 412),
    ([f"If-Unmodified-Since: {date(THEN - 1)}", f"If-Modified-Since: {date(THEN)}"], 412),
    # and Range after all of them
    (["Range: bytes=0-9", 'If-Match: "x"'], 412),
    (["Range: bytes=0-9", "If-Match: RIGHT"], 206),
    (["Range: bytes=0-9", "If-None-Match: RIGHT"], 304),
    (["Range: bytes=0-9", 'If-None-Match: "x"'], 206),
    (["Range: bytes=0-9", f"If-Modified-Since: {date(THEN)}"], 304),
    ([f"Range: bytes={SIZE}-", "If-None-Match: RIGHT"], 304),
    ([f"Range: bytes={SIZE}-", 'If-Match: "x"'], 412),
    ([f"Range: bytes={SIZE}-", "If-Match: RIGHT"], 416),
    # If-Range
    (["Range: bytes=0-9", "If-Range: RIGHT"], 206),
    (["Range: bytes=0-9", 'If-Range: "x"'], 200),
    (["Range: bytes=0-9", "If-Range: W/RIGHT"], 200),
    (["Range: bytes=0-9", f"If-Range: {date(THEN)}"], 206),
    (["Range: bytes=0-9", f"If-Range: {date(THEN - 1)}"], 200),
    (["Range: bytes=0-9", f"If-Range: {date(THEN + 1)}"], 200),
    (["Range: bytes=0-9", "If-Range: nonsense"], 200),
    ([f"Range: bytes={SIZE}-", 'If-Range: "x"'], 200),
    ([f"Range: bytes={SIZE}-", "If-Range: RIGHT"], 416),
    (["If-Range: RIGHT"], 200),
]


@pytest.mark.parametrize(
    ("fields", "status"), CONDITIONS, ids=[", ".join(fields) for fields, _ in CONDITIONS]
)
def test_conditions_are_held_in_their_order(
    wire: Wire, etag: str, fields: list[str], status: int
) -> None:
    fields = [field.replace(RIGHT, etag) for field in fields]
    answer = wire.ask(get(*fields))
    assert answer.status == status
    if status == 200:
        assert answer.body == BYTES
    if status == 206:
        assert answer.body == BYTES[:10]
    if status in (200, 206, 304):
        assert answer.headers["ETag"] == etag
    without_range = {206: 200, 416: 200}.get(status, status)
    head = wire.ask(get(*fields, method="HEAD"))
    assert head.status == without_range
    if without_range == 200:
        assert head.headers["Content-Length"] == str(SIZE)
        assert "Content-Range" not in head.headers


def test_a_304_has_what_a_cache_needs_and_no_body(wire: Wire, etag: str) -> None:
    whole = wire.ask(get())
    answer = wire.ask(get(f"If-None-Match: {etag}"))
    assert answer.headers["ETag"] == etag
    assert "Date" in answer.headers
    for field in ("Cache-Control", "Vary", "Expires"):
        assert answer.headers.get(field) == whole.headers.get(field)
    assert wire.ask(get()).body == BYTES


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 204),
        (["If-Match: RIGHT"], 204),
        (["If-Match: *"], 204),
        (['If-Match: "x"'], 412),
        (["If-Match: W/RIGHT"], 412),
        ([f"If-Unmodified-Since: {date(THEN)}"], 204),
        ([f"If-Unmodified-Since: {date(THEN - 1)}"], 412),
        (["If-None-Match: *"], 412),
    ],
)
def test_a_deletion_is_conditional_too(
    wire: Wire, server: LiveServer, etag: str, fields: list[str], status: int
) -> None:
    answer = wire.ask(get(*(f.replace(RIGHT, etag) for f in fields), method="DELETE"))
    assert (answer.status, answer.body) == (status, b"") or answer.code() == "precondition-failed"
    assert answer.status == status
    assert server.published() == ([] if status == 204 else ["data.bmp"])
    assert wire.ask(get()).status == (404 if status == 204 else 200)
