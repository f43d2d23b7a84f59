"""The header fields of draft-ietf-httpbis-resumable-upload, which are structured fields."""

from hypothesis import given
from hypothesis import strategies as st

from fileservice.protocols.resumable_draft import complete, number
from tests.support.rows import every_row

LARGEST = 999_999_999_999_999
"""The largest Integer (RFC 9651 section 3.3.1)."""


@every_row(("value", "expected"), [("?1", True), ("?0", False), ("  ?1  ", True)])
def test_upload_complete_is_a_boolean(value: str, expected: bool) -> None:
    assert complete({"Upload-Complete": value}) is expected


@every_row(
    "value", ["", "1", "0", "true", "?2", "?", "?1, ?0", "?1,?1", "? 1", "\t?1", "\xa0?1", "?１"]
)
def test_malformed_upload_complete_is_ignored(value: str) -> None:
    assert complete({"Upload-Complete": value}) is None


def test_missing_upload_complete_is_none() -> None:
    assert complete({}) is None


@given(st.integers(0, LARGEST))
def test_integer_is_parsed(value: int) -> None:
    assert number({"Upload-Offset": str(value)}, "Upload-Offset") == value


@every_row(("value", "expected"), [("007", 7), (" 7 ", 7), ("0" * 15, 0)])
def test_leading_zeros_and_spaces_are_accepted(value: str, expected: int) -> None:
    assert number({"Upload-Length": value}, "Upload-Length") == expected


@every_row(
    "value",
    [
        "",
        " ",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "0x10",
        "1_000",
        "1,2",
        "1, 1",
        "1 1",
        '"1"',
        "\t1",
        "²",
        "١",
        str(LARGEST + 1),
        "9" * 5000,
    ],
)
def test_value_that_is_not_a_non_negative_integer_is_ignored(value: str) -> None:
    assert number({"Upload-Offset": value}, "Upload-Offset") is None


def test_missing_field_is_none() -> None:
    assert number({"Upload-Length": "1"}, "Upload-Offset") is None


@given(st.text(max_size=20))
def test_no_text_raises_an_error(text: str) -> None:
    headers = {"Upload-Complete": text, "Upload-Offset": text}
    assert complete(headers) in (True, False, None)
    offset = number(headers, "Upload-Offset")
    assert offset is None or 0 <= offset <= LARGEST
