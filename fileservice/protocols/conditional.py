"""Conditional requests: RFC 9110 section 13."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from functools import lru_cache

_ETAG = re.compile(r'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')
_EMPTY_ELEMENT = re.compile(r"[ \t]*(?:,|$)")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DATES = (
    re.compile(
        rf"(?:{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"
    ),
    re.compile(
        rf"(?:{'|'.join(_LONG_DAYS)}), "
        rf"(?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
    ),
    re.compile(
        rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"
    ),
)
"""IMF-fixdate, RFC 850 and asctime (section 5.6.7)."""


class Outcome(Enum):
    """What the conditions make of a request."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    PRECONDITION_FAILED = auto()


@dataclass(frozen=True, slots=True)
class Validators:
    """The strong entity tag of what is there, as sent, and its Last-Modified in Unix seconds."""

    etag: str
    modified: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """The values of the fields, None where the request has none."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None


def evaluate(method: str, conditions: Conditions, current: Validators | None) -> Outcome:
    """Hold the conditions against the current representation, None if there is none.

    In the order of section 13.2.2, without its last step: see `range_applies`.
    """
    reads = method in ("GET", "HEAD")
    if conditions.if_match is not None:
        if not _matches(conditions.if_match, current, weakly=False):
            return Outcome.PRECONDITION_FAILED
    elif conditions.if_unmodified_since is not None and current:
        date = parse_date(conditions.if_unmodified_since)
        if date is not None and current.modified > date:
            return Outcome.PRECONDITION_FAILED
    if conditions.if_none_match is not None:
        if _matches(conditions.if_none_match, current, weakly=True):
            return Outcome.NOT_MODIFIED if reads else Outcome.PRECONDITION_FAILED
    elif conditions.if_modified_since is not None and current and reads:
        date = parse_date(conditions.if_modified_since)
        if date is not None and current.modified <= date:
            return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(conditions: Conditions, current: Validators) -> bool:
    """Whether If-Range lets Range be honoured (section 13.1.5)."""
    if conditions.if_range is None:
        return True
    value = conditions.if_range.strip(" \t")
    return value == current.etag or parse_date(value) == current.modified


def parse_date(text: str) -> int | None:
    """An HTTP-date in Unix seconds; None for anything else."""
    match = next((m for form in _DATES if (m := form.fullmatch(text.strip(" \t")))), None)
    if not match:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        # More than 50 years ahead means the most recent past year with these digits.
        this_year = datetime.now(UTC).year
        year += this_year // 100 * 100
        if year > this_year + 50:
            year -= 100
    try:
        moment = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if match["second"] == "60" else int(match["second"]),  # a leap second
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp())


@lru_cache(maxsize=1024)
def format_date(seconds: int) -> str:
    """Unix seconds as an IMF-fixdate."""
    moment = datetime.fromtimestamp(seconds, UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment:%d} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def _matches(field: str, current: Validators | None, *, weakly: bool) -> bool:
    if current is None:
        return False
    if field.strip(" \t") == "*":
        return True
    tags = _etags(field)
    return current.etag in tags or (weakly and f"W/{current.etag}" in tags)


def _etags(field: str) -> list[str]:
    tags, at = [], 0
    while at < len(field):
        match = _ETAG.match(field, at)
        if match:
            tags.append(match[1])
        else:
            match = _EMPTY_ELEMENT.match(field, at)
            if not match:
                return []
        at = match.end()
    return tags
