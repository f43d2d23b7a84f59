"""Ranges: RFC 9110 section 14, one or several, satisfiable or not."""

import email
import random
import re
from collections.abc import Callable

import pytest

from tests.http.known_file import BYTES, SIZE, THEN, date, get
from tests.support.processes import cpu_seconds
from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=1-1", 1, 1),
        ("bytes=0-", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-500", SIZE - 500, SIZE - 1),
        (f"bytes=-{SIZE}", 0, SIZE - 1),
        (f"bytes=-{SIZE + 1}", 0, SIZE - 1),
        ("bytes=-99999999999999999999999999", 0, SIZE - 1),
        (f"bytes=10-{SIZE}", 10, SIZE - 1),
        ("bytes=10-99999999999999999999999999", 10, SIZE - 1),
        (f"bytes=0-{SIZE - 1}", 0, SIZE - 1),
        ("bytes=007-0008", 7, 8),
        ("Bytes=3-4", 3, 4),
        ("bytes=3-4,", 3, 4),
        ("bytes=,3-4", 3, 4),
        ("bytes=0-9,5-14", 0, 14),
        ("bytes=5-14,0-9", 0, 14),
        ("bytes=0-9,2-3", 0, 9),
        ("bytes=0-9,0-9", 0, 9),
        (f"bytes=3-4,{SIZE}-", 3, 4),
        (f"bytes={SIZE}-,3-4", 3, 4),
        ("bytes=3-4,-0", 3, 4),
    ],
)
def test_one_range_is_answered_with_206_and_its_bytes(
    wire: Wire, etag: str, asked: str, first: int, last: int
) -> None:
    answer = wire.ask(get(f"Range: {asked}"))
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["ETag"] == etag
    assert answer.headers["Last-Modified"] == date(THEN)
    assert answer.headers["Content-Type"] == "image/bmp"
    assert answer.body == BYTES[first : last + 1]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=9-0",
        "bytes=0-9,9-0",
        "bytes=0-9,x",
        "bytes=1-2-3",
        "bytes=--5",
        "bytes=+1-2",
        "bytes=0x0-0x9",
        "bytes=1_0-2_0",
        "bytes=1.0-2",
        "bytes=0 - 9",
        "bytes 0-9",
        "bytes",
        "=0-9",
        "0-9",
        "lines=0-9",
        "none",
        "bytes=" + ",".join(f"{i * 4}-{i * 4 + 1}" for i in range(500)),
        "bytes=" + "0-," * 1200,
    ],
    ids=lambda asked: asked[:20],
)
def test_a_malformed_range_gives_the_whole_file(wire: Wire, etag: str, asked: str) -> None:
    answer = wire.ask(get(f"Range: {asked}"))
    assert answer.status == 200
    assert answer.body == BYTES
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        f"bytes={SIZE}-",
        f"bytes={SIZE}-{SIZE + 9}",
        "bytes=-0",
        "bytes=99999999999999999999999-",
        f"bytes={SIZE}-,-0,{SIZE + 1}-",
    ],
)
def test_a_range_past_the_end_is_answered_with_416(wire: Wire, etag: str, asked: str) -> None:
    answer = wire.ask(get(f"Range: {asked}"))
    assert (answer.status, answer.code()) == (416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
    assert wire.ask(get(f"Range: {asked}", method="HEAD")).status == 200


def test_an_empty_file_has_no_ranges(wire: Wire, server: LiveServer) -> None:
    (server.store / "empty.txt").write_bytes(b"")
    whole = wire.ask(get(name="empty.txt"))
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, b"", "0")
    answer = wire.ask(get("Range: bytes=0-", name="empty.txt"))
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */0"
    assert wire.ask(get("Range: bytes=-5", name="empty.txt")).status == 200


def parts_of(answer: Answer) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Range and bytes of each part, read by the standard library."""
    assert answer.status == 206
    kind = answer.headers["Content-Type"]
    assert kind.startswith("multipart/byteranges")
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.body)
    assert not message.defects
    assert message.is_multipart()
    return [
        (str(p["Content-Type"]), str(p["Content-Range"]), p.get_payload(decode=True))
        for p in message.get_payload()
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("0-0,-1", [(0, 0), (SIZE - 1, SIZE - 1)]),
        ("0-9,20-29", [(0, 9), (20, 29)]),
        ("20-29 , 0-9", [(20, 29), (0, 9)]),
        ("20-29\t,\t0-9", [(20, 29), (0, 9)]),
        (f"0-9,{SIZE - 5}-{SIZE + 5}", [(0, 9), (SIZE - 5, SIZE - 1)]),
        (f"0-9,{SIZE}-,50-59", [(0, 9), (50, 59)]),
        ("0-9,100-199,150-249", [(0, 9), (100, 249)]),
        ("99000-,500-1499,-500", [(99000, SIZE - 1), (500, 1499)]),
        ("0-49999,50001-", [(0, 49999), (50001, SIZE - 1)]),
        (
            ",".join(f"{at}-{at + 99}" for at in range(0, 60_000, 1000)),
            [(at, at + 99) for at in range(0, 60_000, 1000)],
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_several_ranges_are_answered_as_multipart_byteranges(
    wire: Wire, etag: str, asked: str, expected: list[tuple[int, int]]
) -> None:
    answer = wire.ask(get(f"Range: bytes={asked}"))
    assert "Content-Range" not in answer.headers
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["ETag"] == etag
    assert parts_of(answer) == [
        ("image/bmp", f"bytes {first}-{last}/{SIZE}", BYTES[first : last + 1])
        for first, last in expected
    ]


def test_random_ranges_give_exactly_the_requested_bytes(wire: Wire, etag: str) -> None:
    chance = random.Random(11)
    for _ in range(100):
        pairs = [sorted(chance.sample(range(SIZE), 2)) for _ in range(chance.randint(1, 6))]
        answer = wire.ask(get("Range: bytes=" + ",".join(f"{a}-{b}" for a, b in pairs)))
        if answer.status == 200:
            assert answer.body == BYTES
            continue
        if "Content-Range" in answer.headers:
            found = [("", answer.headers["Content-Range"], answer.body)]
        else:
            found = parts_of(answer)
        covered = set()
        for _kind, content_range, data in found:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range)
            assert match
            first, last, size = map(int, match.groups())
            assert size == SIZE
            assert data == BYTES[first : last + 1]
            assert covered.isdisjoint(range(first, last + 1))
            covered.update(range(first, last + 1))
        assert covered == set().union(*(range(a, b + 1) for a, b in pairs))


def test_a_range_at_the_end_of_64_gib_costs_no_more_than_its_bytes(
    server: LiveServer, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(WORKERS="1")
    with (server.store / "huge.bmp").open("wb") as file:
        file.seek(64 << 30)
        file.write(b"the end")
    (pid,) = server.workers()
    with Wire(server) as wire:
        wire.ask(get("Range: bytes=0-6", name="huge.bmp"))
        before = cpu_seconds(pid)
        for _ in range(20):
            assert wire.ask(get("Range: bytes=-7", name="huge.bmp")).body == b"the end"
            several = wire.ask(get("Range: bytes=-7,0-1,40000000000-40000000009", name="huge.bmp"))
            assert [len(data) for *_, data in parts_of(several)] == [7, 2, 10]
        assert cpu_seconds(pid) - before < 10  # to read 64 GiB once takes as long
