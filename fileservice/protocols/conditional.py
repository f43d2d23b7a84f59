"""Conditional requests (RFC 9110 section 13) and HTTP dates (section 5.6.7)."""

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from functools import lru_cache

_ENTITY_TAG = re.compile(r'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|\Z)')
_EMPTY_ELEMENT = re.compile(r"[ \t]*(?:,|\Z)")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAME = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DAY_NAME_LONG = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_IMF_FIXDATE = f"{_DAY_NAME}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"
_RFC850_DATE = f"{_DAY_NAME_LONG}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
_ASCTIME_DATE = f"{_DAY_NAME} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"
_HTTP_DATES = tuple(re.compile(form) for form in (_IMF_FIXDATE, _RFC850_DATE, _ASCTIME_DATE))


class Outcome(Enum):
    """What the conditions of a request require the server to do."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    PRECONDITION_FAILED = auto()


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of a representation (RFC 9110 section 8.8).

    `etag` is its strong entity tag, with quotes; `modified` is its Last-Modified in Unix seconds.
    """

    etag: str
    modified: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """The values of the conditional header fields; None for a field that the request lacks."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None


def evaluate(method: str, conditions: Conditions, current: Validators | None) -> Outcome:
    """Evaluate the conditions against the current representation, None if there is none.

    The order is that of section 13.2.2, except for its last step, If-Range: see `range_applies`.
    """
    is_read = method in ("GET", "HEAD")
    if conditions.if_match is not None:
        if not _matches(conditions.if_match, current, weak=False):
            return Outcome.PRECONDITION_FAILED
    elif conditions.if_unmodified_since is not None and current:
        date = parse_date(conditions.if_unmodified_since)
        if date is not None and current.modified > date:
            return Outcome.PRECONDITION_FAILED
    if conditions.if_none_match is not None:
        if _matches(conditions.if_none_match, current, weak=True):
            return Outcome.NOT_MODIFIED if is_read else Outcome.PRECONDITION_FAILED
    elif conditions.if_modified_since is not None and current and is_read:
        date = parse_date(conditions.if_modified_since)
        if date is not None and current.modified <= date:
            return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(conditions: Conditions, current: Validators) -> bool:
    """Return whether If-Range allows the Range field to be used (section 13.1.5)."""
    if conditions.if_range is None:
        return True
    value = conditions.if_range.strip(" \t")
    return value == current.etag or parse_date(value) == current.modified


def required_tags(if_match: str) -> tuple[str, ...]:
    """Return what If-Match names, as `UploadRequest.replaces` has it (section 13.1.1).

    These are the strong entity tags without their quotes, or "*" alone for any file. A list that is
    malformed has none.
    """
    if if_match.strip(" \t") == "*":
        return ("*",)
    tags = (tag[1:-1] for tag in _entity_tags(if_match) if not tag.startswith("W/"))
    return tuple(tag for tag in tags if tag != "*")


def parse_date(text: str) -> int | None:
    """Return an HTTP-date as Unix seconds; None if `text` has none of the three forms.

    `email.utils.parsedate_to_datetime` does not serve here: it accepts other time zones and
    malformed dates, and takes the years 0000 to 0099 for years of the 20th and 21st century.
    """
    text = text.strip(" \t")
    match = next((match for form in _HTTP_DATES if (match := form.fullmatch(text))), None)
    if not match:
        return None
    try:
        moment = datetime(
            _full_year(match["year"]),
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if match["second"] == "60" else int(match["second"]),  # datetime has no leap seconds
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp())


@lru_cache(maxsize=1024)
def format_date(seconds: int) -> str:
    """Return Unix seconds as an HTTP-date in its preferred form, IMF-fixdate."""
    return email.utils.format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def _full_year(digits: str) -> int:
    """Return the year that two or four digits stand for.

    A year of two digits that appears to be more than 50 years in the future is the most recent
    past year with the same digits (section 5.6.7).
    """
    if len(digits) == 4:
        return int(digits)
    this_year = datetime.now(UTC).year
    year = this_year // 100 * 100 + int(digits)
    return year - 100 if year > this_year + 50 else year


def _matches(field: str, current: Validators | None, *, weak: bool) -> bool:
    if current is None:
        return False
    if field.strip(" \t") == "*":
        return True
    tags = _entity_tags(field)
    return current.etag in tags or (weak and f"W/{current.etag}" in tags)


def _entity_tags(field: str) -> list[str]:
    """Return the entity tags of a list (section 8.8.3); none of them if the list is malformed."""
    tags, position = [], 0
    while position < len(field):
        match = _ENTITY_TAG.match(field, position)
        if match:
            tags.append(match[1])
        else:
            match = _EMPTY_ELEMENT.match(field, position)
            if not match:
                return []
        position = match.end()
    return tags
