"""Conditional requests, compared with a decision table written from RFC 9110 section 13.2.2."""

import email.utils
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from fileservice.protocols.conditional import (
    Conditions,
    Outcome,
    Validators,
    evaluate,
    format_date,
    parse_date,
    range_applies,
    required_tags,
)
from tests.support.rows import every_row

NOW = 1_700_000_000
CURRENT = Validators('"abc"', NOW)
OLDER, SAME, NEWER = (format_date(NOW + offset) for offset in (-10, 0, 10))
TAGS = ['"abc"', 'W/"abc"', '"x"', '"x", "abc"', '"x",W/"abc"', "*", "abc", '"a,b"', ""]
DATES = [OLDER, SAME, NEWER, "yesterday"]


def maybe(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


def strong(field: str) -> bool:
    return field == "*" or '"abc"' in [tag.strip() for tag in field.split(",")]


def weak(field: str) -> bool:
    return field == "*" or any(
        tag.strip().removeprefix("W/") == '"abc"' for tag in field.split(",")
    )


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "DELETE"]),
    maybe(TAGS),
    maybe(DATES),
    maybe(TAGS),
    maybe(DATES),
)
def test_conditions_are_evaluated_in_the_order_of_the_specification(
    method, match, unmodified, none_match, modified
) -> None:
    def expected() -> Outcome:
        if match is not None and not strong(match):
            return Outcome.PRECONDITION_FAILED
        if match is None and unmodified == OLDER:
            return Outcome.PRECONDITION_FAILED
        is_read = method in ("GET", "HEAD")
        if none_match is not None and weak(none_match):
            return Outcome.NOT_MODIFIED if is_read else Outcome.PRECONDITION_FAILED
        if none_match is None and is_read and modified in (SAME, NEWER):
            return Outcome.NOT_MODIFIED
        return Outcome.PROCEED

    conditions = Conditions(
        if_match=match,
        if_unmodified_since=unmodified,
        if_none_match=none_match,
        if_modified_since=modified,
    )
    assert evaluate(method, conditions, CURRENT) is expected()


@given(maybe(TAGS), maybe(TAGS), maybe(DATES))
def test_without_a_representation_only_if_match_fails(match, none_match, date) -> None:
    conditions = Conditions(
        if_match=match,
        if_none_match=none_match,
        if_modified_since=date,
        if_unmodified_since=date,
    )
    expected = Outcome.PROCEED if match is None else Outcome.PRECONDITION_FAILED
    assert evaluate("PUT", conditions, None) is expected


@every_row(
    ("value", "applies"),
    [
        (None, True),
        ('"abc"', True),
        (' "abc" ', True),
        ('W/"abc"', False),
        ('"x"', False),
        ('"x", "abc"', False),
        ("*", False),
        (SAME, True),
        (OLDER, False),
        (NEWER, False),
        ("nonsense", False),
    ],
)
def test_if_range_applies_to_the_same_version_only(value, applies) -> None:
    assert range_applies(Conditions(if_range=value), CURRENT) is applies


def test_entity_tag_may_contain_a_comma() -> None:
    current = Validators('"a,b"', NOW)
    outcome = evaluate("GET", Conditions(if_none_match='"x", "a,b"'), current)
    assert outcome is Outcome.NOT_MODIFIED


@every_row("field", ['w/"abc"', '"abc', 'abc"', '"abc" "abc"', "'abc'", '"abc", x'])
def test_malformed_list_of_entity_tags_matches_nothing(field) -> None:
    assert evaluate("GET", Conditions(if_none_match=field), CURRENT) is Outcome.PROCEED
    assert evaluate("GET", Conditions(if_match=field), CURRENT) is Outcome.PRECONDITION_FAILED


@every_row(
    ("field", "tags"),
    [
        ('"abc"', ("abc",)),
        (' "abc" ,"x", ', ("abc", "x")),
        ('W/"abc", "x"', ("x",)),
        ("*", ("*",)),
        (" * ", ("*",)),
        ('"*"', ()),
        ('"x", *', ()),
        ('""', ("",)),
        ("", ()),
        ("abc", ()),
    ],
)
def test_if_match_requires_one_of_its_strong_tags_or_any_file(field, tags) -> None:
    assert required_tags(field) == tags


@every_row(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_three_forms_of_a_date_are_parsed_to_the_same_time(text) -> None:
    assert parse_date(text) == 784_111_777


def test_year_of_two_digits_is_at_most_fifty_years_in_the_future() -> None:
    this_year = datetime.now(UTC).year
    for ahead, year in ((50, this_year + 50), (51, this_year + 51 - 100)):
        digits = (this_year + ahead) % 100
        date = parse_date(f"Sunday, 06-Nov-{digits:02} 08:49:37 GMT")
        assert date is not None
        assert datetime.fromtimestamp(date, UTC).year == year


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_formatted_date_is_parsed_to_the_same_time(seconds) -> None:
    assert parse_date(format_date(seconds)) == seconds


@given(st.integers(0, 4_000_000_000))
def test_date_is_formatted_as_the_standard_library_formats_it(seconds) -> None:
    assert format_date(seconds) == email.utils.formatdate(seconds, usegmt=True)


@every_row(
    "text",
    [
        "",
        "0",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun Nov " + " " * 10_000 + "6 08:49:37 1994",
    ],
)
def test_text_that_is_not_an_http_date_is_parsed_to_none(text) -> None:
    assert parse_date(text) is None


@given(st.text(max_size=60))
@example("\n")
@example('"abc"\n')
def test_no_field_value_raises_an_error(text) -> None:
    parse_date(text)
    evaluate("GET", Conditions(*[text] * 5), CURRENT)
    range_applies(Conditions(if_range=text), CURRENT)
