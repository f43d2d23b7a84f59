"""When a file is to expire, as clients write it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.protocols.errors import BadExpiry
from fileservice.protocols.expiry_times import parse_expiry
from tests.support.rows import every_row

NOW = 1_800_000_000.25  # 2027-01-15T08:00:00.25Z


@every_row(
    ("text", "expires"),
    [
        ("1s", 1_800_000_002),
        (" 30m ", 1_800_001_801),
        ("24h", 1_800_086_401),
        ("1.5d", 1_800_129_601),
        ("2027-01-15T08:00:01Z", 1_800_000_001),
        ("2027-01-15t08:00:01z", 1_800_000_001),
        ("2027-01-15 08:00:01Z", 1_800_000_001),
        ("2027-01-15T08:00:00.5Z", 1_800_000_001),
        ("2027-01-15T09:00:01+01:00", 1_800_000_001),
        ("2027-01-15T02:30:01-05:30", 1_800_000_001),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ],
)
def test_duration_begins_now_and_time_is_rounded_up_to_a_second(text: str, expires: int) -> None:
    assert parse_expiry(text, NOW) == expires


def test_plus_sign_that_a_query_string_made_a_space_is_understood() -> None:
    assert parse_expiry("2027-01-15T09:00:01 01:00", NOW) == 1_800_000_001


@every_row(
    "text",
    [
        "",
        "7",
        "d",
        "-1d",
        "1w",
        "1d2h",
        "never",
        "tomorrow",
        "nan",
        "infs",
        "1800000000",
        "2027-01-16",
        "2027-01-16T08:00:00",
        "2027-01-16T08:00Z",
        "2027-W03-6T08:00:00Z",
        "20270116T080000Z",
        "2027-13-01T00:00:00Z",
        "2027-02-30T00:00:00Z",
        "2027-01-16T24:00:01Z",
        "2027-01-16T08:00:60Z",
        "2027-01-16T08:00:00+25:00",
        "2027-01-16T08:00:00Z\n2",
        "２０２７-01-16T08:00:00Z",
        "9" * 5000 + "d",
    ],
)
def test_anything_else_is_rejected_with_examples(text: str) -> None:
    with pytest.raises(BadExpiry, match=r"a duration such as .* or a time such as"):
        parse_expiry(text, NOW)


@every_row(
    "text",
    ["0s", "0.000s", "2027-01-15T08:00:00Z", "2027-01-15T08:00:00.25Z", "1969-01-01T00:00:00Z"],
)
def test_time_that_has_passed_is_rejected(text: str) -> None:
    with pytest.raises(BadExpiry, match="must be in the future"):
        parse_expiry(text, NOW)


@every_row("text", ["999999999d", "9999-12-31T23:59:59.1Z", "9999-12-31T23:59:59-01:00"])
def test_time_that_no_http_date_can_express_is_rejected(text: str) -> None:
    with pytest.raises(BadExpiry, match="before the year 10000"):
        parse_expiry(text, NOW)


@given(st.text(max_size=40) | st.from_regex(r"[0-9T:Zdhms. +-]{0,30}", fullmatch=True))
def test_every_text_gives_a_time_in_the_future_or_is_rejected(text: str) -> None:
    with suppress(BadExpiry):
        assert parse_expiry(text, NOW) > NOW
