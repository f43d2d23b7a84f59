"""FileName: which texts are valid names of files."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fileservice.names import BadName, FileName
from tests.support.rows import every_row

DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    device + digit for device in ("com", "lpt") for digit in "0123456789¹²³"
}

BIDIRECTIONAL = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE = set(
    "\u00ad\u034f\u115f\u1160\u17b4\u180e\u200b\u2060\u2064\u206a\u206f\u3164\ufeff\uffa0\ufff9\ufffb\ufffe"
    "\uffff\ufdd0\U0001fffe\U0010ffff\U0001d173\U000e0001\U000e0041\U000e007f"
)

SPECIAL = st.sampled_from(
    [".", "/", "\\", " ", "\0", "\n", "\x7f", "\x85", "e\u0301", "CON", "COM¹", "é"]
)
TEXTS = st.text(max_size=80) | st.lists(SPECIAL | st.text(max_size=3), max_size=8).map("".join)


def accepted(text: str) -> FileName | None:
    try:
        return FileName.parse(text)
    except BadName:
        return None


class TestAnyText:
    @given(TEXTS)
    def test_accepted_name_obeys_every_rule(self, text: str) -> None:
        name = accepted(text)
        assume(name is not None)
        assert name is not None

        assert 1 <= len(name.encode()) <= 255
        assert not set(name) & {"/", "\\", "\0"}
        assert all(unicodedata.category(character) not in ("Cc", "Cs") for character in name)
        assert name[0] not in ". "
        assert name[-1] not in ". "
        assert unicodedata.is_normalized("NFC", name)
        assert name.split(".")[0].rstrip(" ").lower() not in DEVICES
        assert not set(name) & BIDIRECTIONAL

    @given(TEXTS)
    def test_accepted_name_is_the_text_in_nfc(self, text: str) -> None:
        name = accepted(text)

        assert name is None or name == unicodedata.normalize("NFC", text)

    @given(TEXTS)
    def test_parsing_an_accepted_name_again_returns_the_same_name(self, text: str) -> None:
        name = accepted(text)
        assume(name is not None)
        assert name is not None

        assert FileName.parse(name) == name
        assert FileName.parse_bytes(name.encode()) == name

    @given(TEXTS)
    def test_text_and_its_decomposed_form_are_the_same_name(self, text: str) -> None:
        assert accepted(text) == accepted(unicodedata.normalize("NFD", text))

    @given(st.binary(max_size=60))
    def test_bytes_are_parsed_as_utf_8(self, raw: bytes) -> None:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            with pytest.raises(BadName, match="UTF-8"):
                FileName.parse_bytes(raw)
            return
        try:
            assert FileName.parse_bytes(raw) == accepted(text)
        except BadName:
            assert accepted(text) is None


@every_row(
    "text",
    [
        "sample.pdf",
        "no extension",
        "a",
        "two.dots.tar.gz",
        "a..b",
        "Straße № 5 … Übersicht (final)!.docx",
        "日本語.txt",
        "👩‍👩‍👧.png",
        "❤️.png",
        "👩\u200d❤️\u200d👨 1️⃣.png",
        "می\u200cخواهم.txt",
        "ക്\u200d.txt",  # the former encoding of a chillu, at the end of a word
        "क्\u200dष.txt",
        "葛\U000e0100.txt",
        "ᠠ\u180b.txt",
        "עברית שלום.txt",
        "conx .txt",
        "con a.txt",
        "100% & more?#.txt",
        "-rf",
        "~",
        "con-text.txt",
        "console.txt",
        "com.txt",
        "com10.txt",
        "nul_.txt",
        "a.con",
        "a b.txt",
    ],
)
def test_valid_name_is_returned_unchanged(text: str) -> None:
    assert FileName.parse(text) == text


@every_row(
    ("text", "reason"),
    [
        ("", "empty"),
        (".", "dot"),
        ("..", "dot"),
        (".htaccess", "begin with a dot"),
        (".fileservice", "begin with a dot"),
        ("a.txt.", "end with a dot"),
        (" a.txt", "space"),
        ("a.txt ", "space"),
        ("a.txt\u00a0", "space"),
        (" ", "space"),
        ("a/b.txt", "segment"),
        ("../a.txt", "segment"),
        ("/etc/passwd", "segment"),
        ("a\\b.txt", "segment"),
        ("C:\\a.txt", "segment"),
        ("a\0.txt", "control"),
        ("a.txt\0", "control"),
        ("a\nb.txt", "control"),
        ("a.txt\n", "control"),
        ("\ta.txt", "control"),
        ("a\x7f.txt", "control"),
        ("a\x85.txt", "control"),
        ("a\u2028.txt", "control"),
        ("a\ud800.txt", "control"),
    ],
)
def test_invalid_name_raises_bad_name_with_the_rule(text: str, reason: str) -> None:
    with pytest.raises(BadName, match=reason):
        FileName.parse(text)


@every_row("name", ["a{}b.txt", "{}a.txt", "a.txt{}", "א{}ב.txt"])
def test_character_that_changes_the_direction_of_text_raises_bad_name(name: str) -> None:
    for character in BIDIRECTIONAL:
        with pytest.raises(BadName, match=rf"direction .*U\+{ord(character):04X}"):
            FileName.parse(name.format(character))


@every_row("name", ["a{}b.txt", "{}a.txt", "a.txt{}", "日{}本.txt"])
def test_invisible_character_raises_bad_name(name: str) -> None:
    for character in INVISIBLE:
        with pytest.raises(BadName, match=rf"invisible .*U\+{ord(character):04X}"):
            FileName.parse(name.format(character))


@every_row(
    "name",
    [
        "a\u200d.txt",
        "a\u200cb.txt",
        "\u200da.txt",
        "日\u200d\u200d本.txt",
        "日\u200d.txt",
        "می\u200c",
        "a \u200d日.txt",
        "a\ufe0f.txt",
        "a.\ufe0ftxt",
        "❤\ufe0f\ufe0f.txt",
        "\ufe0fa.txt",
        "a\U000e0100.txt",
    ],
)
def test_joiner_or_selector_without_effect_raises_bad_name(name: str) -> None:
    with pytest.raises(BadName, match="joiner"):
        FileName.parse(name)


@every_row("name", ["CON .txt", "nul   .tar.gz", "COM1 .txt", "con:.txt", "aux:a.txt"])
def test_device_name_with_spaces_or_a_colon_raises_bad_name(name: str) -> None:
    with pytest.raises(BadName, match="Windows"):
        FileName.parse(name)


def test_control_character_raises_bad_name() -> None:
    characters = [chr(code) for code in (*range(32), *range(0x7F, 0xA0))]
    assert [c for c in characters if accepted(f"a{c}b.txt") is not None] == []


@every_row("device", sorted(DEVICES))
def test_device_name_in_any_case_and_with_any_extension_raises_bad_name(
    device: str,
) -> None:
    for name in (device, device.upper(), device.title(), f"{device}.txt", f"{device}.tar.gz"):
        with pytest.raises(BadName, match="Windows"):
            FileName.parse(name)


@every_row(("character", "bytes_each"), [("a", 1), ("é", 2), ("語", 3), ("👍", 4)])
def test_name_longer_than_255_bytes_raises_bad_name(character: str, bytes_each: int) -> None:
    count = 255 // bytes_each
    longest = character * count + "x" * (255 - count * bytes_each)

    assert FileName.parse(longest) == longest
    with pytest.raises(BadName, match="255 bytes"):
        FileName.parse(longest + "x")
    with pytest.raises(BadName, match="255 bytes"):
        FileName.parse(character * (count + 1))


def test_length_is_measured_in_nfc() -> None:
    assert FileName.parse("e\u0301" * 127) == "é" * 127


@every_row("raw", [b"\xff.txt", b"caf\xe9.txt", b"\xc0\xaf.txt", b"\xed\xa0\x80.txt"])
def test_bytes_that_are_not_utf_8_raise_bad_name(raw: bytes) -> None:
    with pytest.raises(BadName, match="UTF-8"):
        FileName.parse_bytes(raw)


@every_row(
    ("name", "extension"),
    [
        ("a.pdf", "pdf"),
        ("A.PDF", "pdf"),
        ("a.tar.gz", "gz"),
        ("a", ""),
        ("a.b c", "b c"),
        ("a..txt", "txt"),
    ],
)
def test_extension_is_the_text_after_the_last_dot_in_lower_case(name: str, extension: str) -> None:
    assert FileName.parse(name).extension == extension
