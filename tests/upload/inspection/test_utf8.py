"""UTF-8 is accepted and refused as by Python's decoder, for any bytes that are divided anywhere."""

import codecs
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fileservice.upload.inspection import text as text_module
from fileservice.upload.inspection.text import NotText, TextScan
from fileservice.upload.inspection.utf8 import UNCOMMON, NotUtf8, Utf8Scan

BOUNDS = bytes.fromhex("41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")
"""The first and the last byte of each range of RFC 3629 section 4."""
CHARACTERS = ["a", "\x7f", "é", "\u07ff", "\u0800", "日", "\ud7ff", "\ue000", "\uffff"]
CHARACTERS += ["\U00010000", "😀", "\U0010ffff"]
ILL_FORMED = [
    b"\xed\xa0\x80",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xc1\xbf",
]


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def scans_as_utf8(pieces: Iterable[bytes]) -> bool:
    scan = Utf8Scan()
    try:
        for piece in pieces:
            scan.feed(memoryview(piece), has_uncommon=bool(set(piece) & set(UNCOMMON)))
        scan.conclude()
    except NotUtf8:
        return False
    return True


def wrongly_judged(sequences: Iterable[Iterable[int]]) -> list[str]:
    texts = [b"a" + bytes(values) + b"a" for values in sequences]
    return [text.hex(" ") for text in texts if scans_as_utf8([text]) != is_utf8(text)]


def test_every_sequence_of_three_bytes_is_judged_as_by_the_decoder() -> None:
    assert not wrongly_judged(product(BOUNDS, repeat=3))


def test_every_sequence_after_the_first_byte_of_four_is_judged_as_by_the_decoder() -> None:
    following = [b"", *(bytes([byte]) for byte in b"\x41\x80\xbf\xc2")]
    leads = [bytes([byte]) for byte in b"\xf0\xf1\xf3\xf4\xf5"]
    seconds = [bytes([byte]) for byte in BOUNDS]

    assert not wrongly_judged(
        b"".join(parts) for parts in product(leads, seconds, following, following, following)
    )


@pytest.mark.thorough
def test_every_sequence_of_four_bytes_is_judged_as_by_the_decoder() -> None:
    assert not wrongly_judged(product(BOUNDS, repeat=4))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(CHARACTERS).map(str.encode),
            st.sampled_from(ILL_FORMED),
            st.sampled_from(BOUNDS).map(lambda byte: bytes([byte])),
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 40), max_size=4),
)
@example([b"\xf0\x9f\x98\x80\x80"], [])
@example([b"a", b"\x80", b"\xc3", b"a"], [])
def test_any_text_is_judged_as_by_the_decoder_wherever_it_is_divided(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(parts)
    pieces = [data[a : max(a, b)] for a, b in pairwise([0, *sorted(cuts), len(data)])]

    assert scans_as_utf8(pieces) == is_utf8(b"".join(pieces))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(CHARACTERS[2:]).map(str.encode),
            st.sampled_from([b"some text", b"\x80", b"\xe9", b"\xfc ", b"\0", b"\x1b"]),
        ),
        max_size=20,
    )
)
def test_text_is_refused_only_for_control_characters_and_has_a_charset_only_if_it_is_utf_8(
    parts: list[bytes],
) -> None:
    data = b"text" + b"".join(parts)
    scan = TextScan()
    charset: str | None = "control characters"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "_PIECE", 7)
        with suppress(NotText):
            scan.feed(data)
            charset = scan.conclude()

    if b"\0" in parts:
        assert charset == "control characters"
    else:
        assert charset == ("utf-8" if is_utf8(data) else None)


def test_byte_too_many_is_not_made_up_for_by_one_that_is_missing() -> None:
    for character in CHARACTERS:
        assert not scans_as_utf8([character.encode() + b"\x80 text \xc3 and more"])
        assert not scans_as_utf8([b"text \xc3 and more" + character.encode() + b"\x80 "])


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_text_that_ends_inside_a_character_of_four_bytes_is_not_utf_8(missing: int) -> None:
    emoji = "😀".encode()

    assert not scans_as_utf8([b"text ", emoji[:-missing]])
    assert scans_as_utf8([b"text ", emoji[:-missing], emoji[-missing:]])


def test_megabytes_of_every_script_are_utf_8_until_one_byte_is_missing() -> None:
    for character in CHARACTERS:
        data = ("some text " + character * 5).encode() * 100_000
        assert scans_as_utf8([data])
        if len(character.encode()) > 1:
            place = len(data) // 2
            while data[place] < 0x80:
                place += 1
            assert not scans_as_utf8([data[:place] + data[place + 1 :]])


def test_mark_is_part_of_the_text() -> None:
    assert scans_as_utf8([codecs.BOM_UTF8 + b"text"])
    assert not scans_as_utf8([codecs.BOM_UTF8[:2], b"text"])
