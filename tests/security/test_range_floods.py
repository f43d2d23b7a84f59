"""Ranges that make a small request an answer of many times the file.

See also tests/protocols/test_ranges.py, and for the memory tests/http/test_races.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.protocols import ranges

SIZE = 10_000
FLOODS = [
    "bytes=" + ",".join(["0-"] * 60),
    "bytes=" + ",".join(["0-"] * 2000),
    "bytes=" + ",".join(f"{n}-" for n in range(60)),
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 4000, 2)),
    "bytes=" + ",".join(f"-{n}" for n in range(1, 60)),
]


def largest(client: FlaskClient) -> int:
    return max(
        len(client.get("/download/a.bin", headers={"Range": flood}).data) for flood in FLOODS
    )


@pytest.fixture(autouse=True)
def stored(root: Path) -> None:
    (root / "a.bin").write_bytes(bytes(SIZE))


def test_no_ranges_make_the_answer_much_larger_than_the_file(
    client_of: Callable[..., FlaskClient],
) -> None:
    assert largest(client_of()) < 2 * SIZE


def test_without_their_limit_ranges_make_it_larger(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_MAX_RANGES", 10**6)
    assert largest(client_of()) > 10 * SIZE


def test_without_combining_them_ranges_make_it_larger(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_without_overlaps", tuple)
    assert largest(client_of()) > 10 * SIZE
