"""JSON: a short text is parsed, and of a longer one the first and last character checked."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.upload import TooComplex
from fileservice.upload.inspection import json_nesting
from fileservice.upload.inspection.inspector import Verdict
from tests.support.rows import every_row
from tests.upload.inspection.support import MIB, accepts, inspect


@every_row(
    "text",
    ["{}", "[]", '"text"', "12.5e-3", "true", "null", ' {"a": [{"b": "\\u20ac €"}]} \r\n'],
)
def test_any_json_value_is_accepted(text: str) -> None:
    assert inspect("json", text.encode()) == Verdict("application/json", None)


def test_number_of_any_length_is_accepted() -> None:
    """RFC 8259 section 6 sets no limit, and that of Python's int must not apply."""
    assert accepts("json", b'{"modulus": ' + b"7" * 5000 + b"}")


@every_row(
    "text",
    [" ", "{", "}{", "{'a': 1}", '{"a": 1,}', "[1] [2]", "NaN", "[Infinity]", "word", '"\n"'],
)
def test_invalid_json_is_refused(text: str) -> None:
    assert not accepts("json", text.encode())


@every_row("padding", [0, 2 * MIB])
@every_row("block_size", [1 << 20, 7])
def test_nesting_is_bounded(padding: int, block_size: int) -> None:
    """RFC 8259 section 9. Brackets in strings are no nesting, whatever is escaped in them."""

    def text(depth: int) -> bytes:
        half = depth // 2
        deep = b'{"a\\\\":[' * half + b'"[\\"[{\\\\"' + b"]}" * half
        return b'["' + b"[" * padding + b'","' + b"]" * 600 + b'",' + deep + b"]"

    def blocks(content: bytes) -> list[bytes]:
        head, rest = content[: padding + 4], content[padding + 4 :]
        pieces = range(0, len(rest), block_size)
        return [head, *(rest[offset : offset + block_size] for offset in pieces)]

    json.loads(text(10))
    assert accepts("json", *blocks(text(498)))
    with pytest.raises(TooComplex) as raised:
        inspect("json", *blocks(text(500)))
    assert (raised.value.resource, raised.value.limit) == ("nesting", 500)


def _is_deep(tokens: list[str], limit: int) -> bool:
    """Look at one token after the other; a quotation mark that is escaped is another token."""
    depth, is_in_string = 0, False
    for token in tokens:
        if token == '"':
            is_in_string = not is_in_string
        elif not is_in_string:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
        if depth > limit:
            return True
    return False


def _scans_as_deep(text: bytes, cuts: list[int], *, limit: int, piece: int) -> bool:
    nesting = json_nesting.JsonNesting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_nesting, "MAX_NESTING", limit)
        patch.setattr(json_nesting, "_PIECE", piece)
        try:
            for start, end in pairwise([0, *sorted(cuts), len(text)]):
                nesting.feed(text[start : max(start, end)])
        except TooComplex:
            return True
    return False


@given(
    st.lists(st.sampled_from(["[", "{", "]", "}", '"', '"', "\\\\", '\\"', "a"]), max_size=40),
    st.lists(st.integers(0, 60), max_size=4),
    st.integers(1, 70),
)
def test_nesting_is_that_of_a_slow_scan(tokens: list[str], cuts: list[int], piece: int) -> None:
    text = "".join(tokens).encode()

    assert _scans_as_deep(text, cuts, limit=3, piece=piece) == _is_deep(tokens, 3)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["[", "]", '{"a":[1]},', '"b",', "12,", '"[{",', '"}]",', "[[],", "]"]),
            st.integers(1, 40),
        ),
        max_size=20,
    ),
    st.integers(1, 200),
)
def test_nesting_of_longer_texts_is_that_of_a_slow_scan(
    repeated: list[tuple[str, int]], piece: int
) -> None:
    text = "".join(part * count for part, count in repeated)

    is_deep = _is_deep(list(text), 40)
    assert _scans_as_deep(text.encode(), [], limit=40, piece=piece) == is_deep


def test_nesting_that_is_too_deep_by_one_level_is_found_at_every_place() -> None:
    for before in range(200):
        for depth in (40, 41):
            text = b"[" + b"[]," * before + b"[" * (depth - 1) + b"]" * depth + b"[]," * 200
            assert _scans_as_deep(text, [], limit=40, piece=4096) == (depth == 41)


def test_deeply_nested_json_raises_no_other_error() -> None:
    assert not accepts("json", b"[" * 500_000 + b"]" * 500_000)


def test_large_json_is_accepted() -> None:
    large = json.dumps([{"number": n, "text": "x" * 100} for n in range(20_000)]).encode()

    assert accepts(
        "json", *(large[offset : offset + 65536] for offset in range(0, len(large), 65536))
    )


@every_row("cut", [1, 1000])
def test_large_json_without_its_end_is_refused(cut: int) -> None:
    large = json.dumps({"rows": ["x" * 100] * 20_000}).encode()

    assert accepts("json", large)
    assert not accepts("json", large[:-cut])


@every_row("items", [10, 300_000])
def test_json_of_any_length_is_accepted_in_utf_8_only(items: int) -> None:
    """RFC 8259 section 8.1."""
    text = json.dumps([1] * items)

    assert accepts("json", text.encode())
    assert not accepts("json", text.encode("utf-16"))


def test_json_with_too_many_values_is_not_parsed() -> None:
    """Python's parser would let no other thread run for longer than an inspection may."""
    assert accepts("json", b"[" + b"[]," * 40_000 + b"0]")
    assert not accepts("json", b"[" + b"[]," * 40_000 + b"0 0]")
    assert accepts("json", b"[" + b"[]," * 60_000 + b"0 0]")
    assert not accepts("json", b"[" + b"[]," * 60_000 + b"0")
